// How the transcoder puts single values into the JSON form of a request message. Pure.
#pragma once

#include <google/protobuf/descriptor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod::gateway::portal {

// The field at a dotted path of proto or JSON names; null if there is none, or if something on the way is repeated or
// not a message.
const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor& type, std::string_view path);

// Sets the scalar field at `path` (a repeated one is appended to). A value that another part of the
// request already gave must be the same.
// INVALID_ARGUMENT / INVALID_REQUEST; `where` says where the value came from.
Status SetField(const google::protobuf::Descriptor& type, std::string_view path, const std::string& value,
                std::string_view where, nlohmann::json& request);

// A JSON object of bounded depth. INVALID_ARGUMENT / INVALID_JSON.
Result<nlohmann::json> ParseBody(std::string_view body);

}  // namespace allod::gateway::portal
