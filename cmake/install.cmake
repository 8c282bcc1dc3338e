# make install: library (static, shared), headers, pkg-config, CMake package, program, man page, completions.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(DIRECTORY include/anemone DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS anemone_shared anemone_static anemone_link EXPORT anemoneTargets
  DESTINATION ${CMAKE_INSTALL_LIBDIR})

# find_package(anemone) -> anemone::shared, anemone::static
set(ANEMONE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/anemone)
install(EXPORT anemoneTargets NAMESPACE anemone:: DESTINATION ${ANEMONE_PACKAGE_DIR})
configure_package_config_file(cmake/anemoneConfig.cmake.in ${CMAKE_BINARY_DIR}/anemoneConfig.cmake
  INSTALL_DESTINATION ${ANEMONE_PACKAGE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/anemoneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/anemoneConfig.cmake ${CMAKE_BINARY_DIR}/anemoneConfigVersion.cmake
  DESTINATION ${ANEMONE_PACKAGE_DIR})

# pkg-config anemone, and with --static what a static library drags along
set(ANEMONE_PC_REQUIRES "jansson zlib")
set(ANEMONE_PC_LIBS "-lm -lpthread")
if(ANEMONE_GEMM_LIBRARY STREQUAL "onednn")
  string(APPEND ANEMONE_PC_LIBS " -ldnnl")
elseif(ANEMONE_GEMM_LIBRARY STREQUAL "cblas" AND APPLE)
  string(APPEND ANEMONE_PC_LIBS " -framework Accelerate")
elseif(ANEMONE_GEMM_LIBRARY STREQUAL "cblas")
  string(APPEND ANEMONE_PC_REQUIRES " openblas")
endif()
if(OpenMP_C_FOUND)
  string(APPEND ANEMONE_PC_LIBS " ${OpenMP_C_FLAGS}")
endif()
configure_file(cmake/anemone.pc.in ${CMAKE_BINARY_DIR}/anemone.pc.in @ONLY)
# The prefix is known when installing: `cmake --install --prefix` may name another.
install(CODE "set(ANEMONE_PC_SOURCE \"${CMAKE_BINARY_DIR}/anemone.pc.in\")
  set(ANEMONE_PC_DESTINATION \"${CMAKE_INSTALL_LIBDIR}/pkgconfig\")")
install(SCRIPT cmake/install_pkgconfig.cmake)

# The man page and the completions come from the tables that the program reads its command line by.
if(TARGET anemone)
  install(TARGETS anemone DESTINATION ${CMAKE_INSTALL_BINDIR})
  if(NOT CMAKE_CROSSCOMPILING)
    set(ANEMONE_MANUAL ${CMAKE_BINARY_DIR}/manual)
    add_custom_command(OUTPUT ${ANEMONE_MANUAL}/anemone.1 ${ANEMONE_MANUAL}/anemone ${ANEMONE_MANUAL}/_anemone
      COMMAND ${CMAKE_COMMAND} -E make_directory ${ANEMONE_MANUAL}
      COMMAND anemone help --man > ${ANEMONE_MANUAL}/anemone.1
      COMMAND anemone help --completion bash > ${ANEMONE_MANUAL}/anemone
      COMMAND anemone help --completion zsh > ${ANEMONE_MANUAL}/_anemone
      DEPENDS anemone COMMENT "Man page and completions")
    add_custom_target(manual ALL DEPENDS ${ANEMONE_MANUAL}/anemone.1)
    install(FILES ${ANEMONE_MANUAL}/anemone.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${ANEMONE_MANUAL}/anemone DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${ANEMONE_MANUAL}/_anemone DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  endif()
endif()
