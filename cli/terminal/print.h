// Shows resources: as a table of chosen fields for people, as the API's own JSON for programs.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <utility>
#include <vector>

namespace allod::cli {

// Heading, field path such as "status.state".
using Columns = std::vector<std::pair<std::string, std::string>>;

// Text of a field for people: enums without their prefix, lists joined, numbers short, unset as "".
std::string FieldText(const google::protobuf::Message& message, const std::string& path);
std::string Table(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows);
std::string MessageTable(const Columns& columns, const std::vector<const google::protobuf::Message*>& messages);
// proto3 JSON with every field, lowerCamelCase.
std::string ToJson(const google::protobuf::Message& message);
// `{"items": [...]}`.
std::string ToJsonList(const std::vector<const google::protobuf::Message*>& messages);
void Print(const std::string& text);

}  // namespace allod::cli
