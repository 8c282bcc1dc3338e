# Run by `cmake --install`: anemone.pc with the prefix that was chosen just now.
cmake_policy(VERSION 3.25)
file(READ ${ANEMONE_PC_SOURCE} text)
get_filename_component(prefix "${CMAKE_INSTALL_PREFIX}" ABSOLUTE)
string(REPLACE "INSTALL_PREFIX" "${prefix}" text "${text}")
set(path "${prefix}/${ANEMONE_PC_DESTINATION}/anemone.pc")
message(STATUS "Installing: $ENV{DESTDIR}${path}")
file(WRITE "$ENV{DESTDIR}${path}" "${text}")
