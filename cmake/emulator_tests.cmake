# What the emulator's tests need beside what all tests have.
if(NOT TARGET anemone_emulator)
  return()
endif()

# A program of a user of Apple's framework, where the compiler speaks Objective-C.
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-prog-name=cc1obj OUTPUT_VARIABLE CC1OBJ
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(GNUSTEP_INCLUDE_DIR AND CMAKE_C_COMPILER_ID STREQUAL "GNU" AND EXISTS "${CC1OBJ}")
  set(CMAKE_OBJC_COMPILER ${CMAKE_C_COMPILER})
  enable_language(OBJC)
  add_executable(emulator_user_program tests/emulator/user_program.m)
  set_target_properties(emulator_user_program PROPERTIES LINKER_LANGUAGE C
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(emulator_user_program SYSTEM PRIVATE ${GNUSTEP_INCLUDE_DIR})
  target_compile_options(emulator_user_program PRIVATE -std=gnu11 -fobjc-exceptions
    -fconstant-string-class=NSConstantString)
  target_compile_definitions(emulator_user_program PRIVATE _NATIVE_OBJC_EXCEPTIONS)
  target_link_libraries(emulator_user_program PRIVATE -Wl,--no-as-needed anemone_emulator ${GNUSTEP_BASE_LIBRARY}
    ${OBJC_LIBRARY} ${CMAKE_DL_LIBS} -Wl,--as-needed)
  add_test(NAME emulator.user_program COMMAND emulator_user_program)
else()
  message(STATUS "emulator: its Objective-C program is not built, since this compiler has no Objective-C: install gobjc")
endif()

# GNUstep takes some memory once and for all, and its locks are taken in two orders: neither is ours. Telling that memory
# from leaks of ours takes whole stacks of every allocation, through code without frame pointers: seven times as long. So
# the tests that ask every question of many machines look for errors alone; leaks are looked for in all others.
set(ANEMONE_MANY_MACHINES "^device\\.ane_(chips|network|quirk_pairs)$|^train\\.quirk_matrix$")
set(time_limit 300)
if(ANEMONE_SANITIZE)
  set(time_limit 900)
endif()
get_property(tests DIRECTORY PROPERTY TESTS)
list(FILTER tests INCLUDE REGEX "(^|\\.)emulator(\\.|$)|^device\\.ane_|^measure\\.|^train\\.(quirk|fault|recompute)|^cli\\.")
foreach(name ${tests})
  set(asan fast_unwind_on_malloc=0)
  if(name MATCHES "${ANEMONE_MANY_MACHINES}")
    set(asan detect_leaks=0)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${time_limit} ENVIRONMENT
    "ANEMONE_CACHE=${ANEMONE_TEST_CACHE};OMP_WAIT_POLICY=passive;ASAN_OPTIONS=${asan}:allocator_may_return_null=1;\
LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/emulator/lsan.supp;\
TSAN_OPTIONS=allocator_may_return_null=1:suppressions=${PROJECT_SOURCE_DIR}/tests/emulator/tsan.supp")
endforeach()
