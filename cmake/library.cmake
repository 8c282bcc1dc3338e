# libanemone, static and shared, from one set of objects.
file(GLOB_RECURSE ANEMONE_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
list(FILTER ANEMONE_SOURCES EXCLUDE REGEX "/base/gemm_(onednn|cblas)\\.c$")
if(NOT ANEMONE_GEMM_LIBRARY STREQUAL "plain")
  list(APPEND ANEMONE_SOURCES ${PROJECT_SOURCE_DIR}/src/base/gemm_${ANEMONE_GEMM_LIBRARY}.c)
endif()

include(cmake/data.cmake)
anemone_embed(data/ane_chips.json ane_chips_json)
anemone_embed(data/recorded_probes.json recorded_probes_json)
anemone_embed(data/ane_recorded.json ane_recorded_json)

add_library(anemone_objects OBJECT ${ANEMONE_SOURCES})
target_include_directories(anemone_objects PUBLIC ${PROJECT_SOURCE_DIR}/include PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(anemone_objects PRIVATE ANEMONE_VERSION="${PROJECT_VERSION}" _GNU_SOURCE)
string(TOUPPER ${ANEMONE_GEMM_LIBRARY} ANEMONE_GEMM_UPPER)
target_compile_definitions(anemone_objects PRIVATE ANEMONE_GEMM_${ANEMONE_GEMM_UPPER})

# The same files for several instruction sets: chosen at run time (src/device/cpu/vector.h).
include(cmake/vectors.cmake OPTIONAL)

add_library(anemone_link INTERFACE)
target_link_libraries(anemone_link INTERFACE PkgConfig::JANSSON ZLIB::ZLIB Threads::Threads m ${CMAKE_DL_LIBS})
if(ANEMONE_GEMM_LIBRARY STREQUAL "onednn")
  target_link_libraries(anemone_link INTERFACE ${DNNL_LIBRARY})
  target_include_directories(anemone_objects PRIVATE ${DNNL_INCLUDE_DIR})
elseif(ANEMONE_GEMM_LIBRARY STREQUAL "cblas")
  target_link_libraries(anemone_link INTERFACE ${CBLAS_LIBRARIES})
endif()
if(OpenMP_C_FOUND)
  target_link_libraries(anemone_link INTERFACE OpenMP::OpenMP_C)
endif()
target_link_libraries(anemone_objects PRIVATE anemone_link)

add_library(anemone_static STATIC $<TARGET_OBJECTS:anemone_objects>)
add_library(anemone_shared SHARED $<TARGET_OBJECTS:anemone_objects>)
foreach(kind static shared)
  set_target_properties(anemone_${kind} PROPERTIES OUTPUT_NAME anemone EXPORT_NAME ${kind})
  target_include_directories(anemone_${kind} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  target_link_libraries(anemone_${kind} PRIVATE anemone_link)
endforeach()
set_target_properties(anemone_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
