#include "gateway/portal/openapi_schema.h"

#include <string>

namespace allod::gateway::portal {
namespace {

namespace pb = google::protobuf;
using Json = nlohmann::ordered_json;

// Messages with a JSON form of their own; null if there is none.
Json WellKnownSchema(const std::string& full_name) {
  if (full_name == "google.protobuf.Timestamp") return {{"type", "string"}, {"format", "date-time"}};
  if (full_name == "google.protobuf.Duration") return {{"type", "string"}};
  if (full_name == "google.protobuf.FieldMask") return {{"type", "string"}};
  if (full_name == "google.protobuf.Any") {
    return {{"type", "object"}, {"properties", {{"@type", {{"type", "string"}}}}}, {"additionalProperties", true}};
  }
  return nullptr;
}

Json ScalarSchema(const pb::FieldDescriptor& field) {
  using Field = pb::FieldDescriptor;
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32:
      return {{"type", "integer"}, {"format", "int32"}};
    case Field::CPPTYPE_UINT32:
      return {{"type", "integer"}, {"minimum", 0}};
    case Field::CPPTYPE_INT64:
      return {{"type", "string"}, {"format", "int64"}};
    case Field::CPPTYPE_UINT64:
      return {{"type", "string"}, {"format", "uint64"}};
    case Field::CPPTYPE_FLOAT:
    case Field::CPPTYPE_DOUBLE:
      return {{"type", "number"}};
    case Field::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    case Field::CPPTYPE_STRING:
      if (field.type() == Field::TYPE_BYTES) return {{"type", "string"}, {"format", "byte"}};
      return {{"type", "string"}};
    case Field::CPPTYPE_ENUM: {
      Json values = Json::array();
      for (int i = 0; i < field.enum_type()->value_count(); ++i) values.push_back(field.enum_type()->value(i)->name());
      return {{"type", "string"}, {"enum", std::move(values)}};
    }
    case Field::CPPTYPE_MESSAGE:
      break;
  }
  return Json::object();
}

}  // namespace

Json FieldSchema(const pb::FieldDescriptor& field, Json& schemas) {
  if (field.is_map()) {
    return {{"type", "object"}, {"additionalProperties", FieldSchema(*field.message_type()->map_value(), schemas)}};
  }
  Json item = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE ? MessageSchema(*field.message_type(), schemas)
                                                                       : ScalarSchema(field);
  if (!field.is_repeated()) return item;
  Json out;
  out["type"] = "array";
  out["items"] = std::move(item);
  return out;
}

Json MessageSchema(const pb::Descriptor& type, Json& schemas) {
  Json own = WellKnownSchema(type.full_name());
  if (!own.is_null()) return own;
  Json reference;
  reference["$ref"] = "#/components/schemas/" + type.full_name();
  if (schemas.contains(type.full_name())) return reference;
  schemas[type.full_name()] = Json::object();  // present before its fields are visited: messages may be recursive
  Json properties = Json::object();
  for (int i = 0; i < type.field_count(); ++i) {
    properties[type.field(i)->json_name()] = FieldSchema(*type.field(i), schemas);
  }
  Json& schema = schemas[type.full_name()];
  schema["type"] = "object";
  schema["properties"] = std::move(properties);
  return reference;
}

}  // namespace allod::gateway::portal
