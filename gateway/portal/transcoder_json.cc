#include "gateway/portal/transcoder_json.h"

#include <fmt/format.h>

#include "gateway/http/json_input.h"

namespace allod::gateway::portal {
namespace {

namespace pb = google::protobuf;

constexpr int kBodyDepthMax = 32;

const pb::FieldDescriptor* FindMember(const pb::Descriptor& type, const std::string& name) {
  if (const pb::FieldDescriptor* field = type.FindFieldByName(name)) return field;
  return type.FindFieldByCamelcaseName(name);
}

// The member of `object` for `field`, whichever of its two names was used; made under its JSON name if absent.
nlohmann::json& Member(nlohmann::json& object, const pb::FieldDescriptor& field) {
  if (object.contains(field.name())) return object[field.name()];
  return object[field.json_name()];
}

bool IsScalar(const pb::FieldDescriptor& field) {
  if (field.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) return true;
  // Messages whose JSON form is a string.
  const std::string& name = field.message_type()->full_name();
  return name == "google.protobuf.Timestamp" || name == "google.protobuf.Duration" ||
         name == "google.protobuf.FieldMask";
}

}  // namespace

const pb::FieldDescriptor* FindField(const pb::Descriptor& type, std::string_view path) {
  const pb::Descriptor* current = &type;
  const pb::FieldDescriptor* field = nullptr;
  while (!path.empty()) {
    if (!current) return nullptr;
    const std::size_t dot = path.find('.');
    field = FindMember(*current, std::string(path.substr(0, dot)));
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    if (!field || (field->is_repeated() && !path.empty())) return nullptr;
    current = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE ? field->message_type() : nullptr;
  }
  return field;
}

Status SetField(const pb::Descriptor& type, std::string_view path, const std::string& value, std::string_view where,
                nlohmann::json& request) {
  const pb::FieldDescriptor* target = FindField(type, path);
  if (!target || !IsScalar(*target)) {
    return InvalidArgument("INVALID_REQUEST", fmt::format("{}: {} has no field {}", where, type.name(), path));
  }
  nlohmann::json* at = &request;
  const pb::Descriptor* current = &type;
  while (true) {
    if (at->is_null()) *at = nlohmann::json::object();
    if (!at->is_object()) return InvalidArgument("INVALID_REQUEST", fmt::format("{} must be an object", path));
    const std::size_t dot = path.find('.');
    const pb::FieldDescriptor* field = FindMember(*current, std::string(path.substr(0, dot)));
    at = &Member(*at, *field);
    if (dot == std::string_view::npos) break;
    current = field->message_type();
    path.remove_prefix(dot + 1);
  }
  if (target->is_repeated()) {
    if (at->is_null()) *at = nlohmann::json::array();
    if (!at->is_array())
      return InvalidArgument("INVALID_REQUEST", fmt::format("{} must be an array", target->json_name()));
    at->push_back(value);
    return {};
  }
  const bool given = !at->is_null() && !(at->is_string() && at->get_ref<const std::string&>().empty());
  if (given && *at != nlohmann::json(value)) {
    return InvalidArgument("INVALID_REQUEST", fmt::format("{}: {} is {}, but another part of the request says {}",
                                                          where, target->json_name(), value, at->dump()));
  }
  *at = value;
  return {};
}

Result<nlohmann::json> ParseBody(std::string_view body) {
  auto parsed = http::ParseJsonObject(body, kBodyDepthMax);
  if (!parsed) return std::unexpected(parsed.error().error);
  return *std::move(parsed);
}

}  // namespace allod::gateway::portal
