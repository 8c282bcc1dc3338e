"""Writes blob_coremltools.bin with coremltools' own blob writer, one blob of each type that it can write.

    pip install coremltools==9.0 numpy
    python3 tests/golden/blob_coremltools.py

tests/mil/test_blob.c reads the file, and writes the same blobs again to compare byte by byte. Blob i of type t holds
COUNT[i] elements; element j is value(t, j), the formula that the test repeats.
"""
import os

import numpy as np
from coremltools.libmilstoragepython import _BlobStorageWriter

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blob_coremltools.bin")


def ramp(count, modulus, low=0):
    return [(j * 7 + 3) % modulus + low for j in range(count)]


writer = _BlobStorageWriter(out)
offsets = [
    writer.write_fp16_data((np.arange(5) * 0.25 - 0.5).astype(np.float16).view(np.uint16)),
    writer.write_float_data((np.arange(3) * 0.25 - 0.5).astype(np.float32)),
    writer.write_uint8_data(np.array(ramp(65, 256), np.uint8)),
    writer.write_int8_data(np.array(ramp(64, 256, -128), np.int8)),
    writer.write_int16_data(np.array(ramp(33, 65536, -32768), np.int16)),
    writer.write_uint16_data(np.array(ramp(1, 65536), np.uint16)),
    writer.write_int4_data(np.array(ramp(7, 16, -8), np.int8)),
    writer.write_uint1_data(np.array(ramp(11, 2), np.uint8)),
    writer.write_uint2_data(np.array(ramp(5, 4), np.uint8)),
    writer.write_uint4_data(np.array(ramp(9, 16), np.uint8)),
    writer.write_uint3_data(np.array(ramp(11, 8), np.uint8)),
    writer.write_uint6_data(np.array(ramp(3, 64), np.uint8)),
    writer.write_int32_data(np.array(ramp(2, 1 << 31), np.int32)),
    writer.write_uint32_data(np.array(ramp(17, 1 << 32), np.uint32)),
]
print(offsets)
