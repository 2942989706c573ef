// Shows resources: as a table of chosen fields for people, as the API's own JSON for programs.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::terminal {

using MessagePtr = std::unique_ptr<google::protobuf::Message>;
using Messages = std::vector<const google::protobuf::Message*>;

struct Column {
  std::string heading;
  std::string path;  // of a field, such as "status.state"
  // What is shown of a message; null: the text of the field.
  std::function<std::string(const google::protobuf::Message&)> text = nullptr;
};
using Columns = std::vector<Column>;

// What a terminal shows of text that somebody else wrote, and obeys nothing of: control characters but line breaks and
// tabs as \x1b, \u009b.
std::string Plain(std::string_view text);
// Text of a field for people: enums without their prefix, lists joined (the fields of their messages too), numbers
// short, unset as "".
std::string FieldText(const google::protobuf::Message& message, const std::string& path);
// Cells are shown as Plain() has them.
std::string Table(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows);
std::string MessageTable(const Columns& columns, const Messages& messages);
// proto3 JSON with every field, lowerCamelCase.
std::string ToJson(const google::protobuf::Message& message);
// `[...]` of these.
std::string ToJsonArray(const Messages& messages);
// `{"items": [...]}`.
std::string ToJsonList(const Messages& messages);

Messages PointersTo(const std::vector<MessagePtr>& owned);

void Print(const std::string& text);
// What a command lists: as JSON, else as a table.
void PrintList(bool as_json, const Columns& columns, const Messages& messages);
// Names for a sentence: "a, b and 7 more".
std::string Some(const std::vector<std::string>& names);
// On standard error: what went wrong, and its reason for programs.
void PrintError(const Error& error);

}  // namespace allod::cli::terminal
