"""What a network does and why: so far, what quantization does to each of its layers."""
