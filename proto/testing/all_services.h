// Every RPC service that our protos declare, linked into the test that asks: for tests about all methods, which a new
// one meets the day it is added.
#pragma once

#include <google/protobuf/descriptor.h>

#include <filesystem>
#include <vector>

namespace allod {

// Of every file below `source`/proto/allod. Throws std::runtime_error for a file that is not linked, with what to do.
std::vector<const google::protobuf::ServiceDescriptor*> AllServices(const std::filesystem::path& source);

}  // namespace allod
