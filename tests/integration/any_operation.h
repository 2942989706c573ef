// Any operation of the HTTP API, by its own description (/openapi.json) alone: where it is, and what it takes. For
// tests that are about all operations.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/integration/all_methods.h"

namespace allod {

struct AnyOperation {
  std::string id;                       // "InstanceService_GetInstance"
  std::string method;                   // "GET"
  std::string path;                     // "/portal/v1/tenants/{tenant}"
  std::vector<std::string> parameters;  // of the path, "tenant"
  std::vector<std::string> queries;
  nlohmann::json body;  // as it might be; null: it takes none
  bool is_portal() const { return path.starts_with("/portal/"); }
};

// `document` is /openapi.json. A body is a sample of what its method takes about that of `names` which has the ids of
// the operation's path, or what the schema requires.
std::vector<AnyOperation> AllOperations(const nlohmann::json& document, const AllMethods& methods,
                                        const std::vector<std::string>& names);

// The path with those parameters, percent-encoded; what is not given is "x".
std::string PathOf(const AnyOperation& operation, const std::map<std::string, std::string>& parameters);
std::string PercentEncode(const std::string& text);

// The ids in a resource name by the name that they have in paths: {"tenant": "ke", "apiKey": "abc..."}.
std::map<std::string, std::string> ParametersOf(const std::string& name);

// Each place of a text in a body: "/spec/region".
std::vector<nlohmann::json::json_pointer> TextsOf(const nlohmann::json& body);

}  // namespace allod
