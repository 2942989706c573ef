# Generates C++ and gRPC code for one API area. The google/ imports come from npm's google-proto-files; those of
# google/protobuf from the system's protobuf, whose runtime they must match.

set(ALLOD_GOOGLE_PROTOS ${CMAKE_SOURCE_DIR}/node_modules/google-proto-files CACHE PATH "Directory that holds google/api")
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
find_path(ALLOD_PROTOBUF_IMPORTS google/protobuf/descriptor.proto REQUIRED)
if(NOT EXISTS ${ALLOD_GOOGLE_PROTOS}/google/api/annotations.proto)
  message(FATAL_ERROR "${ALLOD_GOOGLE_PROTOS}/google/api/annotations.proto is missing: run `npm ci --omit=optional "
                      "--ignore-scripts` in ${CMAKE_SOURCE_DIR} (tests/run and deploy/quickstart do it)")
endif()
set(ALLOD_GEN ${CMAKE_BINARY_DIR}/gen)
file(MAKE_DIRECTORY ${ALLOD_GEN})

# allod_proto_library(NAME ROOT dir PROTOS a/b.proto ... [DEPS ...] [GRPC]): a static library of generated code.
function(allod_proto_library name)
  cmake_parse_arguments(A "GRPC" "ROOT" "PROTOS;DEPS" ${ARGN})
  set(generated)
  foreach(proto ${A_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(out ${ALLOD_GEN}/${stem}.pb.cc)
    set(grpc_args)
    if(A_GRPC)
      list(APPEND out ${ALLOD_GEN}/${stem}.grpc.pb.cc)
      set(grpc_args --grpc_out=${ALLOD_GEN} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN})
    endif()
    add_custom_command(
      OUTPUT ${out}
      COMMAND protobuf::protoc --cpp_out=${ALLOD_GEN} ${grpc_args} -I${ALLOD_PROTOBUF_IMPORTS} -I${CMAKE_SOURCE_DIR}/proto
              -I${ALLOD_GOOGLE_PROTOS} ${proto}
      DEPENDS ${A_ROOT}/${proto}
      COMMENT "protoc ${proto}"
      VERBATIM)
    list(APPEND generated ${out})
  endforeach()
  add_library(${name} STATIC ${generated})
  target_include_directories(${name} SYSTEM PUBLIC ${ALLOD_GEN})
  target_link_libraries(${name} PUBLIC ${A_DEPS} protobuf::libprotobuf)
  if(A_GRPC)
    target_link_libraries(${name} PUBLIC gRPC::grpc++)
    allod_precompiled(${name} GRPC ON)
  endif()
  if(ALLOD_BATCH)
    # One source for all messages of the area and one for all its services. Two names of what protoc writes are not its file's own.
    set(messages ${generated})
    set(services ${generated})
    list(FILTER messages EXCLUDE REGEX "\\.grpc\\.pb\\.cc$")
    list(FILTER services INCLUDE REGEX "\\.grpc\\.pb\\.cc$")
    set_source_files_properties(${messages} PROPERTIES UNITY_GROUP messages)
    set_source_files_properties(${services} PROPERTIES UNITY_GROUP services)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP UNITY_BUILD_UNIQUE_ID allod_file
      UNITY_BUILD_CODE_BEFORE_INCLUDE "#define ALLOD_JOIN(a, b) a##b\n#define ALLOD_OF(name, file) ALLOD_JOIN(name, file)\n\
#define schemas ALLOD_OF(schemas_, allod_file)\n#define file_default_instances ALLOD_OF(file_default_instances_, allod_file)"
      UNITY_BUILD_CODE_AFTER_INCLUDE "#undef schemas\n#undef file_default_instances\n#undef ALLOD_OF\n#undef ALLOD_JOIN")
  endif()
endfunction()
