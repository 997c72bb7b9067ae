"""Turns a GGUF file into a model directory that vLLM serves: convert-gguf.py DIR FILE OUT."""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

directory, file, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(directory, gguf_file=file)
# Packed weights cannot be saved: unpack them.
model = AutoModelForCausalLM.from_pretrained(
    directory, gguf_file=file, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
)
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
model.to(torch.bfloat16).save_pretrained(out)
tokenizer.save_pretrained(out)
