# Threads that wait spinning slow down all other tests. A test may ask for more memory than there is: the sanitizers are
# to say no, as malloc does, and not to stop.
set(ANEMONE_TEST_CACHE ${CMAKE_BINARY_DIR}/tests/cache) # never the user's
set(ANEMONE_TEST_ENVIRONMENT ANEMONE_CACHE=${ANEMONE_TEST_CACHE} OMP_WAIT_POLICY=passive
  ASAN_OPTIONS=allocator_may_return_null=1 TSAN_OPTIONS=allocator_may_return_null=1)

# tests/ mirrors src/: every tests/**/test_*.c is one cmocka program and one ctest test; every tests/**/test_*.sh is a
# test of the installed program. Exit status 77 says skipped.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
file(GLOB_RECURSE ANEMONE_TEST_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/test_*.c)
file(GLOB ANEMONE_TEST_SUPPORT CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.c)
add_library(anemone_test_support STATIC ${ANEMONE_TEST_SUPPORT})
target_include_directories(anemone_test_support PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tests
  ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(anemone_test_support PUBLIC
  ANEMONE_ROOT="${PROJECT_SOURCE_DIR}" ANEMONE_TEST_CACHE="${ANEMONE_TEST_CACHE}" _GNU_SOURCE)
target_link_libraries(anemone_test_support PUBLIC anemone_static anemone_link PkgConfig::CMOCKA)

if(TARGET anemone_emulator)
  target_compile_definitions(anemone_test_support PUBLIC ANEMONE_EMULATOR_LIBRARY="$<TARGET_FILE:anemone_emulator>")
  add_dependencies(anemone_test_support anemone_emulator)
endif()

foreach(source ${ANEMONE_TEST_SOURCES})
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests ${source})
  string(REGEX REPLACE "\\.c$" "" name ${name})
  string(REGEX REPLACE "/test_" "/" name ${name})
  string(REPLACE "/" "." name ${name})
  add_executable(test.${name} ${source})
  target_link_libraries(test.${name} PRIVATE anemone_test_support)
  set_target_properties(test.${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND test.${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
    ENVIRONMENT "${ANEMONE_TEST_ENVIRONMENT}")
endforeach()

file(GLOB_RECURSE ANEMONE_TEST_SCRIPTS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/test_*.sh)
foreach(script ${ANEMONE_TEST_SCRIPTS})
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests ${script})
  string(REGEX REPLACE "\\.sh$" "" name ${name})
  string(REGEX REPLACE "/test_" "/" name ${name})
  string(REPLACE "/" "." name ${name})
  add_test(NAME ${name} COMMAND bash ${script} $<TARGET_FILE:anemone> WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300
    ENVIRONMENT "${ANEMONE_TEST_ENVIRONMENT}")
endforeach()

# Helpers of golden scripts: not tests themselves.
file(GLOB ANEMONE_TEST_TOOLS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/tools/*.c)
foreach(source ${ANEMONE_TEST_TOOLS})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE anemone_test_support)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endforeach()
