#include "tests/integration/any_operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace allod {
namespace {

using nlohmann::json;

constexpr char kSchemas[] = "#/components/schemas/";
constexpr int kDepthMax = 8;

const json& Resolved(const json& document, const json& schema) {
  const json* at = &schema;
  while (at->contains("$ref")) at = &document.at(json::json_pointer(at->at("$ref").get<std::string>().substr(1)));
  return *at;
}

// Where the least that a schema allows is refused all the same.
const std::map<std::string, json>& SchemaSamples() {
  static const std::map<std::string, json> samples = {
      {std::string(kSchemas) + "ChatMessage", {{"role", "user"}, {"content", "Habari?"}}}};
  return samples;
}

// The least that the schema allows.
json LeastOf(const json& document, const json& unresolved, int depth = 0) {
  const auto sample = SchemaSamples().find(unresolved.value("$ref", ""));
  if (sample != SchemaSamples().end()) return sample->second;
  const json& schema = Resolved(document, unresolved);
  if (schema.contains("const")) return schema.at("const");
  if (schema.contains("enum")) return schema.at("enum").at(0);
  for (const char* choice : {"anyOf", "oneOf"}) {
    if (schema.contains(choice)) return LeastOf(document, schema.at(choice).at(0), depth);
  }
  std::string type = "object";
  if (schema.contains("type")) {
    const json& types = schema.at("type");
    type = (types.is_array() ? types.at(0) : types).get<std::string>();
  }
  if (type == "string") return "x";
  if (type == "boolean") return false;
  if (type == "integer" || type == "number") return schema.value("minimum", 1);
  if (depth == kDepthMax) return nullptr;
  if (type == "array") return json::array({LeastOf(document, schema.at("items"), depth + 1)});
  json out = json::object();
  for (const json& part : schema.value("allOf", json::array())) out.update(LeastOf(document, part, depth + 1));
  for (const json& name : schema.value("required", json::array())) {
    const std::string property = name;
    out[property] = LeastOf(document, schema.at("properties").at(property), depth + 1);
  }
  return out;
}

// Of the RPC that the operation stands for; null: it stands for none.
const AnyMethod* MethodOf(const AllMethods& methods, const std::string& operation_id) {
  const auto found = std::ranges::find_if(methods.all(), [&](const AnyMethod& method) {
    return method.descriptor->service()->name() + "_" + method.descriptor->name() == operation_id &&
           method.area != "catalog";  // whose operations are the operator's own
  });
  if (found != methods.all().end()) return &*found;
  const auto of_catalog = std::ranges::find_if(methods.all(), [&](const AnyMethod& method) {
    return method.descriptor->service()->name() + "_" + method.descriptor->name() == operation_id;
  });
  return of_catalog == methods.all().end() ? nullptr : &*of_catalog;
}

json BodyOf(const json& document, const json& schema, const AllMethods& methods, const std::string& operation_id,
            const std::string& resource) {
  const AnyMethod* method = MethodOf(methods, operation_id);
  if (method == nullptr) return LeastOf(document, schema);
  const auto& type = *method->descriptor->input_type();
  json whole = json::parse(ToJson(*methods.Request(*method, resource, resource)));
  const std::string reference = schema.value("$ref", "");
  // What the path has may not be in the body as well.
  json* at = &whole;
  for (std::size_t i = 0; i < method->rule.resource.size(); ++i) {
    const std::string& name = method->rule.resource[i]->json_name();
    if (i + 1 == method->rule.resource.size()) {
      at->erase(name);
    } else {
      at = &(*at)[name];
    }
  }
  if (reference == kSchemas + type.full_name()) return whole;
  for (int i = 0; i < type.field_count(); ++i) {
    const auto* field = type.field(i);
    if (field->message_type() != nullptr && reference == kSchemas + field->message_type()->full_name()) {
      return whole.value(field->json_name(), json::object());
    }
  }
  return LeastOf(document, schema);
}

void Collect(const json& at, const json::json_pointer& where, std::vector<json::json_pointer>& out) {
  if (at.is_string()) out.push_back(where);
  if (!at.is_structured()) return;
  for (const auto& [key, value] : at.items()) {
    Collect(value, at.is_array() ? where / static_cast<std::size_t>(std::stoul(key)) : where / key, out);
  }
}

// The first whose ids are those of the path.
std::string Fitting(const std::vector<std::string>& names, const std::vector<std::string>& parameters) {
  for (const std::string& name : names) {
    const auto ids = ParametersOf(name);
    const bool has_all = std::ranges::all_of(parameters, [&](const auto& p) { return ids.contains(p); });
    if (has_all && ids.size() == parameters.size()) return name;
  }
  return names.front();
}

// "tenants" -> "tenant", as the document has it.
std::string Singular(const std::string& collection) {
  return collection.ends_with('s') ? collection.substr(0, collection.size() - 1) : collection + "Id";
}

}  // namespace

std::vector<AnyOperation> AllOperations(const json& document, const AllMethods& methods,
                                        const std::vector<std::string>& names) {
  std::vector<AnyOperation> out;
  for (const auto& [path, by_method] : document.at("paths").items()) {
    for (const auto& [method, operation] : by_method.items()) {
      AnyOperation one{operation.at("operationId"), method, path, {}, {}, nullptr};
      std::ranges::transform(one.method, one.method.begin(), [](unsigned char c) { return std::toupper(c); });
      for (const json& parameter : operation.value("parameters", json::array())) {
        (parameter.at("in") == "path" ? one.parameters : one.queries).push_back(parameter.at("name"));
      }
      if (operation.contains("requestBody")) {
        const json& schema = operation.at("requestBody").at("content").at("application/json").at("schema");
        one.body = BodyOf(document, schema, methods, one.id, Fitting(names, one.parameters));
      }
      out.push_back(std::move(one));
    }
  }
  return out;
}

std::string PercentEncode(const std::string& text) {
  std::string out;
  for (const unsigned char c : text) {
    const bool is_plain = std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~';
    out += is_plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return out;
}

std::string PathOf(const AnyOperation& operation, const std::map<std::string, std::string>& parameters) {
  std::string out = operation.path;
  for (const std::string& name : operation.parameters) {
    const std::string place = "{" + name + "}";
    const auto given = parameters.find(name);
    const std::string value = given == parameters.end() ? "x" : PercentEncode(given->second);
    if (const auto at = out.find(place); at != std::string::npos) out.replace(at, place.size(), value);
  }
  return out;
}

std::map<std::string, std::string> ParametersOf(const std::string& name) {
  std::map<std::string, std::string> out;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t id = name.find('/', at);
    if (id == std::string::npos) break;
    const std::size_t end = std::min(name.find('/', id + 1), name.size());
    out[Singular(name.substr(at, id - at))] = name.substr(id + 1, end - id - 1);
    at = end + 1;
  }
  return out;
}

std::vector<json::json_pointer> TextsOf(const json& body) {
  std::vector<json::json_pointer> out;
  Collect(body, json::json_pointer(), out);
  return out;
}

}  // namespace allod
