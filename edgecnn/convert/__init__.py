"""A Keras model to a frozen graph, and a frozen graph to TFLite or ONNX bytes.

`edgecnn.convert.tflite` and `edgecnn.convert.onnx` are the only modules that name the
converters, the two parts of the tool chain most likely to be replaced.
"""
