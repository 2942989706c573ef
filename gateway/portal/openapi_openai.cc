#include "gateway/portal/openapi_openai.h"

#include <string>

#include "gateway/openai/parameters.h"
#include "gateway/portal/openapi_access.h"

namespace allod::gateway::portal {
namespace {

using Json = nlohmann::ordered_json;

// The bounds are those of openai/*_request.cc and openai/parameters.cc.
constexpr char kSchemas[] = R"({
  "OpenAiError": {
    "type": "object", "required": ["error"],
    "properties": {"error": {
      "type": "object", "required": ["message", "type", "param", "code"],
      "properties": {"message": {"type": "string"}, "type": {"type": "string"},
                     "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
  "ContentPart": {
    "type": "object", "required": ["type", "text"], "additionalProperties": false,
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}}},
  "ToolCall": {
    "type": "object", "required": ["id", "function"], "additionalProperties": false,
    "properties": {
      "id": {"type": "string", "minLength": 1, "maxLength": 128}, "type": {"const": "function"},
      "function": {"type": "object", "required": ["name"], "additionalProperties": false,
                   "properties": {"name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"}, "arguments": {"type": "string"}}}}},
  "ChatMessage": {
    "type": "object", "required": ["role"],
    "properties": {
      "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
      "content": {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 256, "items": {"$ref": "#/components/schemas/ContentPart"}}]},
      "name": {"type": "string"},
      "refusal": {"type": ["string", "null"], "description": "Of an assistant message: taken as what it said."},
      "tool_calls": {"type": "array", "maxItems": 64, "items": {"$ref": "#/components/schemas/ToolCall"}, "description": "Of an assistant message."},
      "tool_call_id": {"type": "string", "description": "Of a tool message: a call that an assistant message before it made."}}},
  "Tool": {
    "type": "object", "required": ["type", "function"], "additionalProperties": false,
    "properties": {
      "type": {"const": "function"},
      "function": {"type": "object", "required": ["name"],
                   "properties": {"name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"}, "description": {"type": "string"},
                                  "parameters": {"type": "object"}, "strict": {"type": ["boolean", "null"]}}}}},
  "GenerationParameters": {
    "type": "object", "required": ["model"],
    "properties": {
      "model": {"type": "string", "minLength": 1, "maxLength": 300, "description": "An instance of the key's project, by its id or full name."},
      "stream": {"type": "boolean"},
      "stream_options": {"type": "object", "additionalProperties": false, "properties": {"include_usage": {"type": "boolean"}},
                         "description": "Only with stream: true."},
      "temperature": {"type": "number", "minimum": 0, "maximum": 2},
      "top_p": {"type": "number", "minimum": 0, "maximum": 1},
      "min_p": {"type": "number", "minimum": 0, "maximum": 1},
      "top_k": {"type": "integer", "minimum": 0, "maximum": 1048576},
      "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
      "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
      "seed": {"type": "integer"},
      "n": {"type": "integer", "minimum": 1, "description": "And at most the instance's maxConcurrency."},
      "stop": {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 256},
                         {"type": "array", "maxItems": 4, "items": {"type": "string", "minLength": 1, "maxLength": 256}}]},
      "logit_bias": {"type": "object", "maxProperties": 300, "propertyNames": {"pattern": "^[0-9]{1,9}$"},
                     "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}},
      "grammar": {"type": "string", "maxLength": 65536, "description": "GBNF, start symbol root."},
      "user": {"type": "string"},
      "safety_identifier": {"type": "string"},
      "prompt_cache_key": {"type": "string"},
      "prompt_cache_retention": {"type": "string"},
      "service_tier": {"enum": ["auto", "default"]},
      "metadata": {"type": "object", "additionalProperties": {"type": "string"}}}},
  "CreateChatCompletionRequest": {
    "allOf": [{"$ref": "#/components/schemas/GenerationParameters"}],
    "required": ["messages"],
    "properties": {
      "messages": {"type": "array", "minItems": 1, "maxItems": 1024, "items": {"$ref": "#/components/schemas/ChatMessage"}},
      "max_tokens": {"type": "integer", "minimum": 1, "maximum": 2147483647},
      "max_completion_tokens": {"type": "integer", "minimum": 1, "maximum": 2147483647},
      "logprobs": {"type": "boolean"},
      "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20, "description": "Only with logprobs: true."},
      "response_format": {"type": "object", "required": ["type"],
                          "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}, "json_schema": {"type": "object"}}},
      "tools": {"type": "array", "maxItems": 64, "items": {"$ref": "#/components/schemas/Tool"}},
      "tool_choice": {"anyOf": [{"enum": ["none", "auto", "required"]}, {"type": "object"}]},
      "parallel_tool_calls": {"type": "boolean"}},
    "unevaluatedProperties": false},
  "CreateCompletionRequest": {
    "allOf": [{"$ref": "#/components/schemas/GenerationParameters"}],
    "required": ["prompt"],
    "properties": {
      "prompt": {"type": "string"},
      "max_tokens": {"type": "integer", "minimum": 1, "maximum": 2147483647},
      "logprobs": {"type": "integer", "minimum": 0, "maximum": 5}},
    "unevaluatedProperties": false},
  "CreateEmbeddingRequest": {
    "type": "object", "required": ["model", "input"], "additionalProperties": false,
    "properties": {
      "model": {"type": "string", "minLength": 1, "maxLength": 300},
      "input": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "maxItems": 256, "items": {"type": "string", "minLength": 1}}]},
      "encoding_format": {"enum": ["float", "base64"]},
      "dimensions": {"type": "integer", "minimum": 1, "maximum": 65536, "description": "The model's own, if given."},
      "user": {"type": "string"}}}
})";

Json Reference(const std::string& name) { return {{"$ref", "#/components/schemas/" + name}}; }

Json JsonAnswer(const char* description, Json schema) {
  Json out;
  out["description"] = description;
  out["content"]["application/json"]["schema"] = std::move(schema);
  return out;
}

// `request`: the schema of its body; none if empty.
Json Operation(const std::string& id, const char* summary, const std::string& request) {
  Json out;
  out["operationId"] = id;
  out["summary"] = summary;
  out["tags"] = Json::array({"OpenAI"});
  out["security"] = InferenceSecurity();
  if (!request.empty()) {
    out["requestBody"]["required"] = true;
    out["requestBody"]["content"]["application/json"]["schema"] = Reference(request);
  }
  out["responses"]["200"] = JsonAnswer("As in OpenAI's API reference", {{"type", "object"}});
  out["responses"]["default"] = JsonAnswer("Refused or failed", Reference("OpenAiError"));
  return out;
}

Json PostOperation(const std::string& id, const char* summary) { return Operation(id, summary, id + "Request"); }

}  // namespace

void AddOpenAiPaths(Json& paths, Json& schemas) {
  schemas.update(Json::parse(kSchemas));
  schemas["GenerationParameters"]["properties"]["n"]["maximum"] = openai::kChoicesMax;
  paths["/v1/models"]["get"] = Operation("ListModels", "Instances of the key's project", "");
  Json retrieve = Operation("RetrieveModel", "One instance", "");
  retrieve["parameters"] =
      Json::array({Json{{"name", "model"}, {"in", "path"}, {"required", true}, {"schema", Json{{"type", "string"}}}}});
  paths["/v1/models/{model}"]["get"] = std::move(retrieve);
  paths["/v1/chat/completions"]["post"] = PostOperation("CreateChatCompletion", "Answer a conversation");
  paths["/v1/completions"]["post"] = PostOperation("CreateCompletion", "Continue a text");
  paths["/v1/embeddings"]["post"] = PostOperation("CreateEmbedding", "Vectors of texts");
}

}  // namespace allod::gateway::portal
