/* safetensors_types.h - the element types that safetensors and MIL share. */
#ifndef ANEMONE_MODEL_SAFETENSORS_TYPES_H
#define ANEMONE_MODEL_SAFETENSORS_TYPES_H

#include "anemone/mil.h"

mil_dtype ane_safetensors_dtype(const char *name);       /* "BF16"; MIL_VOID when unknown */
const char *ane_safetensors_dtype_name(mil_dtype dtype); /* NULL when safetensors has none */

#endif
