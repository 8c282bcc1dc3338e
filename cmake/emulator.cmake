# The emulated framework, where GNU's Objective-C runtime and GNUstep's Foundation are found: a library of its own
# that is loaded with dlopen(). The library and the program never need it.
option(ANEMONE_EMULATOR "Build the emulator of Apple's framework when GNUstep is found" ON)
if(NOT ANEMONE_EMULATOR OR APPLE)
  return()
endif()
# The runtime's headers stand among gcc's own, which clang must not see: a link leads to them alone.
file(GLOB OBJC_FOLDERS /usr/lib/gcc/${CMAKE_LIBRARY_ARCHITECTURE}/*/include /usr/lib/gcc/*/*/include)
find_path(OBJC_INCLUDE_DIR objc/runtime.h HINTS ${OBJC_FOLDERS})
find_library(OBJC_LIBRARY NAMES objc libobjc.so.4)
find_library(GNUSTEP_BASE_LIBRARY NAMES gnustep-base libgnustep-base.so.1.28)
find_path(GNUSTEP_INCLUDE_DIR Foundation/Foundation.h PATH_SUFFIXES GNUstep)
if(NOT OBJC_INCLUDE_DIR OR NOT OBJC_LIBRARY OR NOT GNUSTEP_BASE_LIBRARY)
  message(STATUS "emulator: not built, since GNUstep was not found: scripts/setup --emulator installs it")
  return()
endif()
message(STATUS "emulator: built on ${GNUSTEP_BASE_LIBRARY}")

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/objc)
file(CREATE_LINK ${OBJC_INCLUDE_DIR}/objc ${CMAKE_BINARY_DIR}/objc/objc SYMBOLIC)

enable_language(ASM)
file(GLOB ANEMONE_EMULATOR_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/emulator/*.c ${PROJECT_SOURCE_DIR}/emulator/*.S)
add_library(anemone_emulator SHARED ${ANEMONE_EMULATOR_SOURCES})
set_source_files_properties(${PROJECT_SOURCE_DIR}/emulator/data_files.S PROPERTIES
  OBJECT_DEPENDS "${PROJECT_SOURCE_DIR}/data/ane_chips.json;${PROJECT_SOURCE_DIR}/data/ane_recorded.json")
target_include_directories(anemone_emulator PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src
  ${PROJECT_SOURCE_DIR}/data)
target_compile_definitions(anemone_emulator PRIVATE _GNU_SOURCE)
target_include_directories(anemone_emulator SYSTEM PRIVATE ${CMAKE_BINARY_DIR}/objc)
target_compile_options(anemone_emulator PRIVATE $<$<COMPILE_LANGUAGE:C>:-fvisibility=hidden>)
# Its own copy of libanemone stays its own; Foundation is needed though no symbol of C's names it.
target_link_libraries(anemone_emulator PRIVATE anemone_static anemone_link -Wl,--no-as-needed ${GNUSTEP_BASE_LIBRARY}
  ${OBJC_LIBRARY} -Wl,--as-needed)
target_link_options(anemone_emulator PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,defs)
include(GNUInstallDirs)
install(TARGETS anemone_emulator DESTINATION ${CMAKE_INSTALL_LIBDIR})
