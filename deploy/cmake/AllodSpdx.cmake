# SPDX's lists of licences and exceptions as a C++ source: allod_spdx_lists(OUT) writes it and tells its path. A JSON array of
# strings becomes a braced list of them by its brackets alone.
function(allod_spdx_lists out)
  set(npm ${CMAKE_SOURCE_DIR}/node_modules)
  set(file ${CMAKE_BINARY_DIR}/gen/spdx_lists.cc)
  set(text "#include \"services/common/spdx_lists.h\"\n\n#include <array>\n\nnamespace allod {\nnamespace {\n\n")
  set(lists spdx-license-ids/index.json spdx-license-ids/deprecated.json spdx-exceptions/index.json)
  foreach(list ${lists})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${npm}/${list})
    if(NOT EXISTS ${npm}/${list})
      message(FATAL_ERROR "${list} is missing: run `npm ci --omit=optional --ignore-scripts` in ${CMAKE_SOURCE_DIR} "
                          "(tests/run and deploy/quickstart do it)")
    endif()
    file(READ ${npm}/${list} json)
    if(NOT json MATCHES "^[[]([ \n\r\t,\"A-Za-z0-9.+-]*)[]][ \n\r]*$")
      message(FATAL_ERROR "${list} is no list of identifiers")
    endif()
    list(APPEND contents "${CMAKE_MATCH_1}")
  endforeach()
  list(GET contents 0 licenses)
  list(GET contents 1 deprecated)
  list(GET contents 2 exceptions)
  string(APPEND text "constexpr std::string_view kLicenses[] = {${licenses},${deprecated}};\n"
                     "constexpr std::string_view kExceptions[] = {${exceptions}};\n\n}  // namespace\n\n"
                     "const std::span<const std::string_view> kSpdxLicenseIds = kLicenses;\n"
                     "const std::span<const std::string_view> kSpdxExceptionIds = kExceptions;\n\n}  // namespace allod\n")
  file(CONFIGURE OUTPUT ${file} CONTENT "${text}" @ONLY)
  set(${out} ${file} PARENT_SCOPE)
endfunction()
