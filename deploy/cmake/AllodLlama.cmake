# llama.cpp: a copy that CMake finds wins; else the prebuilt, hash-locked one from npm with the headers of its own source
# bundle. Either way the target allod_llama and the path of the backends (ALLOD_LLAMA_BACKENDS) come out.

find_package(llama CONFIG QUIET)
add_library(allod_llama INTERFACE)

if(llama_FOUND)
  message(STATUS "llama.cpp: ${llama_DIR}")
  find_library(ALLOD_LLAMA_COMMON NAMES llama-common common REQUIRED HINTS ${llama_DIR}/../..)
  find_path(ALLOD_LLAMA_COMMON_INCLUDE NAMES chat.h PATH_SUFFIXES llama/common common REQUIRED HINTS ${llama_DIR}/../../../include)
  target_link_libraries(allod_llama INTERFACE llama ${ALLOD_LLAMA_COMMON})
  target_include_directories(allod_llama SYSTEM INTERFACE ${ALLOD_LLAMA_COMMON_INCLUDE})
  get_filename_component(ALLOD_LLAMA_BACKENDS ${llama_DIR}/../.. ABSOLUTE)
else()
  set(npm ${CMAKE_SOURCE_DIR}/node_modules)
  set(ALLOD_LLAMA_BACKENDS ${npm}/@node-llama-cpp/linux-x64/bins/linux-x64)
  set(bundle ${npm}/node-llama-cpp/llama/gitRelease.bundle)
  if(NOT EXISTS ${bundle} OR NOT EXISTS ${ALLOD_LLAMA_BACKENDS}/libllama.v0.5.0.so)
    message(FATAL_ERROR "llama.cpp is missing: run `npm ci --omit=optional --ignore-scripts` in ${CMAKE_SOURCE_DIR} "
                        "(tests/run and deploy/quickstart do it), or install one that CMake finds")
  endif()
  set(source ${CMAKE_BINARY_DIR}/llama.cpp)
  if(NOT EXISTS ${source}/include/llama.h)
    find_package(Git REQUIRED)
    file(REMOVE_RECURSE ${source})
    execute_process(COMMAND ${GIT_EXECUTABLE} -c advice.detachedHead=false clone --quiet ${bundle} ${source}
                    COMMAND_ERROR_IS_FATAL ANY)
  endif()
  message(STATUS "llama.cpp: npm, ${ALLOD_LLAMA_BACKENDS}")
  target_include_directories(allod_llama SYSTEM INTERFACE ${source}/include ${source}/ggml/include ${source}/common
                             ${source}/vendor)
  target_link_libraries(allod_llama INTERFACE ${ALLOD_LLAMA_BACKENDS}/libllama-common.so
                        ${ALLOD_LLAMA_BACKENDS}/libllama.v0.5.0.so ${ALLOD_LLAMA_BACKENDS}/libggml.v0.5.0.so
                        ${ALLOD_LLAMA_BACKENDS}/libggml-base.so)
endif()
target_compile_definitions(allod_llama INTERFACE ALLOD_LLAMA_BACKENDS="${ALLOD_LLAMA_BACKENDS}")
