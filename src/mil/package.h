/* package.h - what reading and writing Core ML packages share: the numbers of fields and types in Core ML's messages.
 *
 * A package is a folder: Manifest.json names a specification (Data/com.apple.CoreML/model.mlmodel, a protocol buffer)
 * and the folder of its weights (a blob file, blob.h). Source of the numbers: apple/coremltools, mlmodel/format/
 * Model.proto, FeatureTypes.proto, MIL.proto. */
#ifndef ANEMONE_MIL_PACKAGE_H
#define ANEMONE_MIL_PACKAGE_H

#include "mil/blob.h"
#include "mil/wire.h"

#define MIL_PACKAGE_MODEL "com.apple.CoreML/model.mlmodel"
#define MIL_PACKAGE_WEIGHTS "com.apple.CoreML/weights"
#define MIL_PACKAGE_BLOB "@model_path/weights/weight.bin"

/* Field numbers, by message. */
enum {
    MODEL_VERSION = 1,
    MODEL_DESCRIPTION = 2,
    MODEL_FIRST_KIND = 200,
    MODEL_ML_PROGRAM = 502,
    DESCRIPTION_INPUT = 1,
    DESCRIPTION_OUTPUT = 10,
    DESCRIPTION_FUNCTION = 20,
    DESCRIPTION_DEFAULT_FUNCTION = 21,
    FUNCTION_DESCRIPTION_NAME = 1,
    FUNCTION_DESCRIPTION_INPUT = 2,
    FUNCTION_DESCRIPTION_OUTPUT = 3,
    FEATURE_NAME = 1,
    FEATURE_TYPE = 3,
    FEATURE_TYPE_ARRAY = 5,
    ARRAY_SHAPE = 1,
    ARRAY_DATA_TYPE = 2,
    PROGRAM_VERSION = 1,
    PROGRAM_FUNCTIONS = 2,
    MAP_KEY = 1,
    MAP_VALUE = 2,
    FUNCTION_INPUT = 1,
    FUNCTION_OPSET = 2,
    FUNCTION_BLOCKS = 3,
    BLOCK_OUTPUT = 2,
    BLOCK_OPERATION = 3,
    OPERATION_TYPE = 1,
    OPERATION_INPUT = 2,
    OPERATION_OUTPUT = 3,
    OPERATION_BLOCK = 4,
    OPERATION_ATTRIBUTE = 5,
    ARGUMENT_BINDING = 1,
    BINDING_NAME = 1,
    BINDING_VALUE = 2,
    NAMED_NAME = 1,
    NAMED_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_DATA_TYPE = 1,
    TENSOR_RANK = 2,
    TENSOR_DIMENSION = 3,
    DIMENSION_CONSTANT = 1,
    CONSTANT_SIZE = 1,
    VALUE_TYPE = 2,
    VALUE_IMMEDIATE = 3,
    VALUE_BLOB = 5,
    IMMEDIATE_TENSOR = 1,
    BLOB_NAME = 1,
    BLOB_OFFSET = 2,
    TENSOR_FLOATS = 1,
    TENSOR_INTS = 2,
    TENSOR_BOOLS = 3,
    TENSOR_STRINGS = 4,
    TENSOR_LONGS = 5,
    TENSOR_DOUBLES = 6,
    TENSOR_BYTES = 7,
    REPEATED_VALUES = 1,
};

/* How the elements of a type are written into a tensor value: in which field, and as what. */
typedef struct mil_package_type {
    mil_dtype dtype;
    uint32_t code;  /* MIL.proto's DataType */
    uint32_t field; /* of TensorValue */
    uint32_t array; /* ArrayFeatureType's ArrayDataType; 0: no input or output of a model can have it */
} mil_package_type;

const mil_package_type *mil_package_type_of(mil_dtype dtype); /* NULL: none */

/* A set of operations: its name in programs' text and in packages, and the specification's version that brought it. */
typedef struct mil_package_opset {
    const char *text, *package; /* "ios18", "CoreML8" */
    uint32_t version;           /* 9 */
    mil_dialect dialect;
} mil_package_opset;
enum { MIL_PACKAGE_OPSETS = 4 };
extern const mil_package_opset mil_package_opsets[MIL_PACKAGE_OPSETS];

/* ---- package_value.c: types and values ------------------------------------------------------------------------------ */

void mil_package_put_type(mil_wire_buffer *b, uint32_t number, const mil_type *type);
void mil_package_put_value(mil_wire_buffer *b, uint32_t number, const mil_type *type, const void *data);
void mil_package_put_blob(mil_wire_buffer *b, uint32_t number, const mil_type *type, uint64_t offset);

/* What is read is copied into `arena`; `e` must not be NULL. */
bool mil_package_get_text(mil_wire bytes, struct ane_arena *arena, const char **text, ane_error *e);
bool mil_package_get_type(mil_wire message, mil_type *type, ane_error *e);
/* A constant in the text, or in a blob file that `blobs` finds. */
bool mil_package_get_value(mil_wire message, struct ane_arena *arena, mil_blob_loader *blobs, mil_type *type,
    mil_constant **constant, ane_error *e);

/* ---- package_model.c: a specification in memory; its blob files lie below `folder` ------------------------------------ */

mil_program *mil_package_parse(const void *data, size_t size, const char *folder, ane_error *e);

#endif
