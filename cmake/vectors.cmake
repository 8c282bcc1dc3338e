# Files that are compiled for one instruction set each. Which one runs is decided on the processor at hand, so the
# flags go to these files alone.
include(CheckCCompilerFlag)
string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" ANEMONE_PROCESSOR)
set(ANEMONE_AVX2_SOURCES ${PROJECT_SOURCE_DIR}/src/base/gemv_avx2.c ${PROJECT_SOURCE_DIR}/src/base/gemv_int8_avx2.c
  ${PROJECT_SOURCE_DIR}/src/device/cpu/vector_avx2.c)
set(ANEMONE_AVX512_SOURCES ${PROJECT_SOURCE_DIR}/src/base/gemv_avx512.c ${PROJECT_SOURCE_DIR}/src/base/gemv_int8_avx512.c
  ${PROJECT_SOURCE_DIR}/src/device/cpu/vector_avx512.c)
set(ANEMONE_BASELINE_SOURCES ${PROJECT_SOURCE_DIR}/src/base/gemv_baseline.c ${PROJECT_SOURCE_DIR}/src/base/gemv_int8_baseline.c
  ${PROJECT_SOURCE_DIR}/src/device/cpu/vector_baseline.c)
set(ANEMONE_NEON_SOURCES ${PROJECT_SOURCE_DIR}/src/device/cpu/vector_neon.c)
set(ANEMONE_LOOP_FLAGS "-O3;-fno-semantic-interposition")
set_source_files_properties(${ANEMONE_BASELINE_SOURCES} ${PROJECT_SOURCE_DIR}/src/base/gemm_plain.c
  PROPERTIES COMPILE_OPTIONS "${ANEMONE_LOOP_FLAGS}")
if(ANEMONE_PROCESSOR MATCHES "^(x86_64|amd64)$")
  check_c_compiler_flag(-mavx512f ANEMONE_HAS_AVX512)
  set(ANEMONE_AVX512_FLAGS "${ANEMONE_LOOP_FLAGS};-mavx512f;-mavx512vl;-mavx512dq;-mavx512bw;-mavx2;-mfma;-mf16c")
  check_c_compiler_flag(-mprefer-vector-width=512 ANEMONE_HAS_VECTOR_WIDTH)
  if(ANEMONE_HAS_VECTOR_WIDTH)
    list(APPEND ANEMONE_AVX512_FLAGS -mprefer-vector-width=512)
  endif()
  set_source_files_properties(${ANEMONE_AVX2_SOURCES} PROPERTIES
    COMPILE_OPTIONS "${ANEMONE_LOOP_FLAGS};-mavx2;-mfma;-mf16c")
  set_source_files_properties(${ANEMONE_AVX512_SOURCES} PROPERTIES COMPILE_OPTIONS "${ANEMONE_AVX512_FLAGS}")
  target_compile_definitions(anemone_objects PRIVATE ANEMONE_X86_VECTORS)
  set(ANEMONE_FOREIGN "_neon\\.c$")
  # Kernels of products: what an older compiler has no instructions for is left out.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/base/packed_avx512.c PROPERTIES
    COMPILE_OPTIONS "${ANEMONE_AVX512_FLAGS}")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/base/gemv_int8_avx512vnni.c PROPERTIES
    COMPILE_OPTIONS "${ANEMONE_AVX512_FLAGS};-mavx512vnni")
  check_c_compiler_flag(-mavx512bf16 ANEMONE_HAS_AVX512BF16)
  check_c_compiler_flag(-mamx-bf16 ANEMONE_HAS_AMX)
  if(ANEMONE_HAS_AVX512BF16)
    set_source_files_properties(${PROJECT_SOURCE_DIR}/src/base/packed_avx512bf16.c
      ${PROJECT_SOURCE_DIR}/src/base/packed_small_avx512bf16.c
      ${PROJECT_SOURCE_DIR}/src/device/cpu/pairs_avx512bf16.c PROPERTIES
      COMPILE_OPTIONS "${ANEMONE_AVX512_FLAGS};-mavx512bf16")
    target_compile_definitions(anemone_objects PRIVATE ANEMONE_AVX512BF16)
  else()
    string(APPEND ANEMONE_FOREIGN "|_avx512bf16\\.c$")
  endif()
  if(ANEMONE_HAS_AVX512BF16 AND ANEMONE_HAS_AMX)
    set_source_files_properties(${PROJECT_SOURCE_DIR}/src/base/packed_amx.c
      ${PROJECT_SOURCE_DIR}/src/base/packed_fp32_amx.c
      ${PROJECT_SOURCE_DIR}/src/device/cpu/pairs_amx.c PROPERTIES
      COMPILE_OPTIONS "${ANEMONE_AVX512_FLAGS};-mavx512bf16;-mamx-tile;-mamx-bf16")
    target_compile_definitions(anemone_objects PRIVATE ANEMONE_AMX)
  else()
    string(APPEND ANEMONE_FOREIGN "|_amx\\.c$")
  endif()
elseif(ANEMONE_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set_source_files_properties(${ANEMONE_NEON_SOURCES} PROPERTIES COMPILE_OPTIONS "${ANEMONE_LOOP_FLAGS}")
  target_compile_definitions(anemone_objects PRIVATE ANEMONE_NEON_VECTORS)
  set(ANEMONE_FOREIGN "_(avx(2|512|512bf16|512vnni)|amx)\\.c$")
else()
  set(ANEMONE_FOREIGN "_(avx(2|512|512bf16|512vnni)|amx|neon)\\.c$")
endif()
# The files for other processors must not be compiled here at all.
get_target_property(ANEMONE_ALL_SOURCES anemone_objects SOURCES)
list(FILTER ANEMONE_ALL_SOURCES EXCLUDE REGEX "${ANEMONE_FOREIGN}")
set_target_properties(anemone_objects PROPERTIES SOURCES "${ANEMONE_ALL_SOURCES}")
