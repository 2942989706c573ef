#include "cli/terminal/print.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdio>

namespace allod::cli::terminal {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string EnumText(const google::protobuf::EnumValueDescriptor* value) {
  // STATE_READY of enum State -> READY.
  const std::string& name = value->name();
  if (value->number() == 0) return "";
  const auto* first = value->type()->FindValueByNumber(0);
  const auto prefix = first == nullptr ? std::string::npos : first->name().rfind("UNSPECIFIED");
  return prefix != std::string::npos && prefix < name.size() ? name.substr(prefix) : name;
}

std::string One(const Message& message, const FieldDescriptor* field, int index) {
  const auto* reflection = message.GetReflection();
  const bool repeated = index >= 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? reflection->GetRepeatedString(message, field, index) : reflection->GetString(message, field);
    case FieldDescriptor::CPPTYPE_INT32:
      return fmt::to_string(repeated ? reflection->GetRepeatedInt32(message, field, index)
                                     : reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::to_string(repeated ? reflection->GetRepeatedInt64(message, field, index)
                                     : reflection->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return fmt::format("{:.4g}", repeated ? reflection->GetRepeatedDouble(message, field, index)
                                            : reflection->GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (repeated ? reflection->GetRepeatedBool(message, field, index) : reflection->GetBool(message, field))
                 ? "yes"
                 : "no";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(repeated ? reflection->GetRepeatedEnum(message, field, index)
                               : reflection->GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      const Message& child =
          repeated ? reflection->GetRepeatedMessage(message, field, index) : reflection->GetMessage(message, field);
      if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&child)) {
        return !repeated && !reflection->HasField(message, field) ? ""
                                                                  : google::protobuf::util::TimeUtil::ToString(*time);
      }
      return child.ShortDebugString();
    }
    default:
      return "";
  }
}

}  // namespace

std::string FieldText(const Message& message, const std::string& path) {
  const auto dot = path.find('.');
  const auto* field = message.GetDescriptor()->FindFieldByName(path.substr(0, dot));
  if (field == nullptr) return "";
  const auto* reflection = message.GetReflection();
  const bool is_deeper = dot != std::string::npos;
  if (is_deeper && field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return "";
  if (!field->is_repeated()) {
    return is_deeper ? FieldText(reflection->GetMessage(message, field), path.substr(dot + 1))
                     : One(message, field, -1);
  }
  std::string joined;
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    joined += i == 0 ? "" : ",";
    joined += is_deeper ? FieldText(reflection->GetRepeatedMessage(message, field, i), path.substr(dot + 1))
                        : One(message, field, i);
  }
  return joined;
}

std::string Plain(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool is_kept = byte == '\n' || byte == '\t' || (byte >= ' ' && byte != 0x7f);
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      out += fmt::format("\\u{:04x}", next);
      ++i;
    } else if (is_kept) {
      out += text[i];
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return out;
}

std::string Table(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& given) {
  std::vector<std::vector<std::string>> rows = given;
  for (auto& row : rows) {
    for (auto& cell : row) cell = Plain(cell);
  }
  std::vector<std::size_t> widths;
  for (const auto& heading : headings) widths.push_back(heading.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += i + 1 == cells.size() ? cells[i] : fmt::format("{:<{}}  ", cells[i], widths[i]);
    }
    return text + "\n";
  };
  std::string text = line(headings);
  for (const auto& row : rows) text += line(row);
  return text;
}

std::string MessageTable(const Columns& columns, const Messages& messages) {
  std::vector<std::string> headings;
  for (const Column& column : columns) headings.push_back(column.heading);
  std::vector<std::vector<std::string>> rows;
  for (const auto* message : messages) {
    auto& row = rows.emplace_back();
    for (const Column& column : columns) {
      row.push_back(column.text ? column.text(*message) : FieldText(*message, column.path));
    }
  }
  return Table(headings, rows);
}

std::string ToJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "{}\n";
}

std::string ToJsonArray(const Messages& messages) {
  std::string text = "[";
  for (std::size_t i = 0; i < messages.size(); ++i) text += (i == 0 ? "\n" : ",\n") + ToJson(*messages[i]);
  return text + "]";
}

std::string ToJsonList(const Messages& messages) { return "{\"items\": " + ToJsonArray(messages) + "}\n"; }

Messages PointersTo(const std::vector<MessagePtr>& owned) {
  Messages out;
  for (const MessagePtr& message : owned) out.push_back(message.get());
  return out;
}

void Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void PrintList(bool as_json, const Columns& columns, const Messages& messages) {
  Print(as_json ? ToJsonList(messages) : MessageTable(columns, messages));
}

std::string Some(const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 10;
  if (names.size() <= kNamed) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kNamed, ", "), names.size() - kNamed);
}

void PrintError(const Error& error) {
  // Of a gateway's words nothing is obeyed.
  std::fprintf(stderr, "allod: %s\n", Plain(error.message).c_str());
  if (!error.reason.empty()) std::fprintf(stderr, "reason: %s\n", Plain(error.reason).c_str());
}

}  // namespace allod::cli::terminal
