# Run by `cmake --install`: anemone.pc with the prefix that was chosen just now.
file(READ ${ANEMONE_PC_SOURCE} text)
get_filename_component(prefix "${CMAKE_INSTALL_PREFIX}" ABSOLUTE)
string(REPLACE "@prefix@" "${prefix}" text "${text}")
set(path "${prefix}/${ANEMONE_PC_DESTINATION}/anemone.pc")
message(STATUS "Installing: $ENV{DESTDIR}${path}")
file(WRITE "$ENV{DESTDIR}${path}" "${text}")
