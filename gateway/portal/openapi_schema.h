// JSON schemas of protobuf messages, in proto3's JSON mapping. Pure.
#pragma once

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>

namespace allod::gateway::portal {

// A schema for one field: inline for scalars, a $ref for messages, which (with all they reach) are added to `schemas`.
nlohmann::ordered_json FieldSchema(const google::protobuf::FieldDescriptor& field, nlohmann::ordered_json& schemas);
nlohmann::ordered_json MessageSchema(const google::protobuf::Descriptor& type, nlohmann::ordered_json& schemas);

}  // namespace allod::gateway::portal
