"""Which tensor runs in which precision, with which scale and rounding, in both formats.

`edgecnn.quantize.tflite` and `edgecnn.quantize.onnx` offer the same two calls: ``observe``
the float file on calibration photos, then ``quantize`` it. Grids, bias correction and
the treatment of dead channels are shared, so that both files make the same decisions.
"""

from edgecnn.quantize.schemes import SCHEMES, Bits

__all__ = ["SCHEMES", "Bits"]
