# The program `anemone`: one file per command. It may use the library's own headers.
file(GLOB ANEMONE_CLI_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
if(ANEMONE_CLI_SOURCES)
  add_executable(anemone ${ANEMONE_CLI_SOURCES})
  target_include_directories(anemone PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(anemone PRIVATE ANEMONE_VERSION="${PROJECT_VERSION}" _GNU_SOURCE)
  target_link_libraries(anemone PRIVATE anemone_static anemone_link)
endif()
