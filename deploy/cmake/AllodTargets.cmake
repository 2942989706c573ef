# The only ways to make a target here, so that every one has the same warnings, include root and sanitizers.

option(ALLOD_WERROR "Treat warnings as errors" ON)
option(ALLOD_BATCH "Compile the sources of a library in batches: quicker from nothing, slower after an edit" OFF)
set(ALLOD_SANITIZE "" CACHE STRING "Value for -fsanitize=, e.g. address,undefined or thread")

add_library(allod_flags INTERFACE)
target_include_directories(allod_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(allod_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
if(ALLOD_WERROR)
  target_compile_options(allod_flags INTERFACE -Werror)
endif()
if(ALLOD_SANITIZE)
  # For every target, the generated code included, because they share a precompiled header.
  add_compile_options(-fsanitize=${ALLOD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ALLOD_SANITIZE})
  # Instrumented code makes g++ 12 warn of std::regex's own variables.
  add_compile_options(-Wno-maybe-uninitialized)
  if(ALLOD_SANITIZE MATCHES thread)
    # g++ 12 warns of every std::atomic_thread_fence in Boost.Asio; the fences are understood at run time.
    add_compile_options(-Wno-tsan)
    set(ALLOD_SANITIZER_ENV
        "TSAN_OPTIONS=ignore_noninstrumented_modules=1 suppressions=${CMAKE_SOURCE_DIR}/deploy/cmake/tsan.supp")
  elseif(ALLOD_SANITIZE MATCHES address)
    set(ALLOD_SANITIZER_ENV "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/deploy/cmake/lsan.supp")
  endif()
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # What ccache's manual asks for where precompiled headers are used.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-fpch-preprocess)
  endif()
endif()

# What is slow to parse and included nearly everywhere is parsed once for each kind of source: plain or gRPC, program or test. A
# source includes what it uses all the same; -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON shows whether it does.
set(ALLOD_PCH_HEADERS <algorithm> <chrono> <condition_variable> <expected> <filesystem> <functional> <map> <memory> <mutex>
                      <optional> <ranges> <set> <string> <thread> <vector> <fmt/format.h> <nlohmann/json.hpp>)

# What tests test is compiled as users run it; they themselves are compiled once for every time that they are run.
# (At -O1 g++ 12 sees string concatenation write beyond its own temporaries.)
set(ALLOD_TEST_OPTIONS $<$<CONFIG:Release>:-O1> -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict)

# Call once, after find_package.
function(allod_make_precompiled_headers)
  set(carrier ${CMAKE_BINARY_DIR}/precompiled.cc)
  file(CONFIGURE OUTPUT ${carrier} CONTENT "// Only carries precompiled headers.\n")
  foreach(kind "" _grpc _test _grpc_test)
    set(name allod${kind}_pch)
    set(headers ${ALLOD_PCH_HEADERS})
    add_library(${name} STATIC ${carrier})
    target_link_libraries(${name} PUBLIC allod_flags fmt::fmt)
    if(kind MATCHES grpc)
      target_link_libraries(${name} PUBLIC gRPC::grpc++ protobuf::libprotobuf)
      list(APPEND headers <grpcpp/grpcpp.h> <grpcpp/impl/codegen/proto_utils.h>)
    endif()
    if(kind MATCHES test)
      target_link_libraries(${name} PUBLIC GTest::gmock)
      target_compile_options(${name} PRIVATE ${ALLOD_TEST_OPTIONS})
      list(APPEND headers <gmock/gmock.h>)
    endif()
    target_precompile_headers(${name} PRIVATE ${headers})
  endforeach()
endfunction()

# allod_precompiled(NAME [GRPC on] [TEST on]). A precompiled header serves only sources compiled with its own flags, so programs are
# compiled with -fPIC, not -fPIE.
function(allod_precompiled name)
  cmake_parse_arguments(A "" "GRPC;TEST" "" ${ARGN})
  set(kind "")
  if(A_GRPC)
    string(APPEND kind _grpc)
  endif()
  if(A_TEST)
    string(APPEND kind _test)
    target_compile_options(${name} PRIVATE ${ALLOD_TEST_OPTIONS})
  endif()
  get_target_property(type ${name} TYPE)
  if(type STREQUAL EXECUTABLE)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIC)
  endif()
  target_link_libraries(${name} PRIVATE fmt::fmt)  # its definitions must be those of the header
  target_precompile_headers(${name} REUSE_FROM allod${kind}_pch)
endfunction()

# Batches of sources, each compiled as one: what they all include is parsed and instantiated once. The sources of a library share
# their anonymous namespaces then, so a name in these is given once in a library and namespace; a build in batches tells. A test's
# names need not differ from those of other tests: each is in a namespace of its file's name.
function(allod_batched name)
  get_target_property(sources ${name} SOURCES)
  list(LENGTH sources count)
  if(ALLOD_BATCH AND count GREATER 2)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# allod_library(NAME SOURCES a.cc ... [DEPS ...] [PRIVATE_DEPS ...] [GRPC_PCH | PCH <header> ...])
# GRPC_PCH: it links gRPC, whose flags the other header does not have. PCH: it has a precompiled header of its own, with these as well.
function(allod_library name)
  cmake_parse_arguments(A "GRPC_PCH" "" "SOURCES;DEPS;PRIVATE_DEPS;PCH" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC allod_flags ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS})
  if(A_PCH)
    target_precompile_headers(${name} PRIVATE ${ALLOD_PCH_HEADERS} ${A_PCH})
  else()
    allod_precompiled(${name} GRPC ${A_GRPC_PCH})
  endif()
  allod_batched(${name})
endfunction()

# allod_executable(NAME SOURCES ... [DEPS ...] [GRPC_PCH]): build/bin/NAME
function(allod_executable name)
  cmake_parse_arguments(A "GRPC_PCH" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE allod_flags ${A_DEPS})
  allod_precompiled(${name} GRPC ${A_GRPC_PCH})
  allod_batched(${name})
endfunction()

# allod_test(NAME SOURCES ... [DEPS ...] [LABELS ...] [TIMEOUT s] [GRPC_PCH]): a GoogleTest program, one CTest entry.
# Labels: unit (no server), contract and integration (need PostgreSQL, Redis or processes), e2e.
function(allod_test name)
  cmake_parse_arguments(A "GRPC_PCH" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE allod_flags ${A_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  allod_precompiled(${name} GRPC ${A_GRPC_PCH} TEST ON)
  allod_batched(${name})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  if(ALLOD_SANITIZE)
    math(EXPR A_TIMEOUT "${A_TIMEOUT} * 5")  # instrumented code is slow
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT}
                       ENVIRONMENT "ALLOD_SOURCE_DIR=${CMAKE_SOURCE_DIR};ALLOD_BUILD_DIR=${CMAKE_BINARY_DIR};${ALLOD_SANITIZER_ENV}")
endfunction()
