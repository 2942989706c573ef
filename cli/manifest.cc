#include "cli/manifest.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

namespace allod::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::size_t kBytesMax = 1 << 20;
constexpr std::size_t kDocumentsMax = 256;
constexpr int kDepthMax = 16;
constexpr int kValuesMax = 100'000;  // YAML aliases can make a small text grow without bound when it is walked

class Filler {
 public:
  explicit Filler(std::string file) : file_(std::move(file)) {}

  std::unexpected<Error> Wrong(const YAML::Node& node, const std::string& text) const {
    return InvalidArgument("INVALID_MANIFEST", fmt::format("{}: {}", Where(node), text));
  }
  std::string Where(const YAML::Node& node) const { return fmt::format("{}:{}", file_, node.Mark().line + 1); }

  Status Fill(const YAML::Node& node, const std::string& path, Message& message, int depth) {
    if (depth > kDepthMax) return Wrong(node, fmt::format("{}: nested deeper than {}", path, kDepthMax));
    if (!node.IsMap()) return Wrong(node, path + ": fields are expected here");
    const Descriptor* type = message.GetDescriptor();
    std::vector<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      const FieldDescriptor* field = type->FindFieldByCamelcaseName(key);
      if (field == nullptr) field = type->FindFieldByName(key);
      if (field == nullptr)
        return Wrong(entry.first, fmt::format("{}.{}: unknown field; known are {}", path, key, Known(type)));
      if (std::find(seen.begin(), seen.end(), field->name()) != seen.end()) {
        return Wrong(entry.first, fmt::format("{}.{}: stands here twice", path, key));
      }
      seen.push_back(field->name());
      const std::string below = path + "." + key;
      if (field->is_repeated()) {
        if (!entry.second.IsSequence()) return Wrong(entry.second, below + ": a list is expected here");
        for (std::size_t i = 0; i < entry.second.size(); ++i) {
          ALLOD_CHECK_OK(Set(entry.second[i], fmt::format("{}[{}]", below, i), message, field, depth));
        }
      } else {
        ALLOD_CHECK_OK(Set(entry.second, below, message, field, depth));
      }
    }
    return {};
  }

 private:
  static std::string Known(const Descriptor* type) {
    std::string names;
    for (int i = 0; i < type->field_count(); ++i) names += (i == 0 ? "" : ", ") + type->field(i)->camelcase_name();
    return names;
  }

  Status Set(const YAML::Node& node, const std::string& path, Message& message, const FieldDescriptor* field,
             int depth) {
    if (++values_ > kValuesMax) return Wrong(node, fmt::format("more than {} values", kValuesMax));
    const auto* reflection = message.GetReflection();
    const bool repeated = field->is_repeated();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* child = repeated ? reflection->AddMessage(&message, field) : reflection->MutableMessage(&message, field);
      return Fill(node, path, *child, depth + 1);
    }
    if (!node.IsScalar()) return Wrong(node, path + ": a single value is expected here");
    const auto integer = [&](auto tag) -> Result<decltype(tag)> {
      decltype(tag) value{};
      if (YAML::convert<decltype(tag)>::decode(node, value)) return value;
      return Wrong(node, fmt::format("{}: '{}' is not a whole number of the right size", path, node.Scalar()));
    };
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string value = node.Scalar();
        repeated ? reflection->AddString(&message, field, value) : reflection->SetString(&message, field, value);
        return {};
      }
      case FieldDescriptor::CPPTYPE_INT32: {
        ALLOD_TRY(const std::int32_t value, integer(std::int32_t{}));
        repeated ? reflection->AddInt32(&message, field, value) : reflection->SetInt32(&message, field, value);
        return {};
      }
      case FieldDescriptor::CPPTYPE_INT64: {
        ALLOD_TRY(const std::int64_t value, integer(std::int64_t{}));
        repeated ? reflection->AddInt64(&message, field, value) : reflection->SetInt64(&message, field, value);
        return {};
      }
      case FieldDescriptor::CPPTYPE_BOOL: {
        bool value = false;
        if (!YAML::convert<bool>::decode(node, value)) return Wrong(node, path + ": true or false is expected here");
        repeated ? reflection->AddBool(&message, field, value) : reflection->SetBool(&message, field, value);
        return {};
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        // `isolated` stands for ISOLATION_CLASS_ISOLATED.
        std::string text = node.Scalar();
        std::transform(text.begin(), text.end(), text.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        std::string known;
        for (int i = 0; i < field->enum_type()->value_count(); ++i) {
          const auto* value = field->enum_type()->value(i);
          if (value->number() == 0) continue;
          if (value->name() == text || value->name().ends_with("_" + text)) {
            repeated ? reflection->AddEnum(&message, field, value) : reflection->SetEnum(&message, field, value);
            return {};
          }
          known += (known.empty() ? "" : ", ") + value->name();
        }
        return Wrong(node, fmt::format("{}: '{}' is none of {}", path, node.Scalar(), known));
      }
      default:
        return Wrong(node, path + ": cannot be set in a manifest");
    }
  }

  std::string file_;
  int values_ = 0;
};

Result<Document> ParseDocument(Filler& filler, const YAML::Node& node, const std::vector<ManifestKind>& kinds) {
  if (!node.IsMap()) return filler.Wrong(node, "apiVersion, kind, metadata and spec are expected here");
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    if (key != "apiVersion" && key != "kind" && key != "metadata" && key != "spec") {
      return filler.Wrong(entry.first,
                          fmt::format("{}: unknown field; known are apiVersion, kind, metadata, spec", key));
    }
  }
  const auto scalar = [&](const YAML::Node& value) {
    return value && value.IsScalar() ? value.Scalar() : std::string();
  };
  if (scalar(node["apiVersion"]) != "allod/v1") return filler.Wrong(node, "apiVersion: allod/v1 is expected");
  const std::string kind = scalar(node["kind"]);
  const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const ManifestKind& k) { return k.kind == kind; });
  if (known == kinds.end()) {
    std::string names;
    for (const auto& k : kinds) names += (names.empty() ? "" : ", ") + k.kind;
    return filler.Wrong(node, fmt::format("kind: '{}' is none of {}", kind, names));
  }
  const YAML::Node metadata = node["metadata"];
  if (!metadata || !metadata.IsMap()) return filler.Wrong(node, "metadata: name is expected in it");
  for (const auto& entry : metadata) {
    if (entry.first.Scalar() != "name") {
      return filler.Wrong(entry.first, fmt::format("metadata.{}: unknown field; known is name", entry.first.Scalar()));
    }
  }
  Document document;
  document.kind = kind;
  document.name = scalar(metadata["name"]);
  document.where = filler.Where(node);
  if (document.name.empty()) return filler.Wrong(metadata, "metadata.name is required");
  document.resource.reset(known->prototype->New());
  auto* reflection = document.resource->GetReflection();
  const auto* type = document.resource->GetDescriptor();
  Message* target = document.resource.get();
  if (!known->spec_field.empty()) target = reflection->MutableMessage(target, type->FindFieldByName(known->spec_field));
  if (node["spec"]) ALLOD_CHECK_OK(filler.Fill(node["spec"], "spec", *target, 0));
  const auto* name = type->FindFieldByName("name");
  if (target == document.resource.get() && !reflection->GetString(*document.resource, name).empty()) {
    return filler.Wrong(node["spec"], "spec.name: the name stands in metadata.name");
  }
  reflection->SetString(document.resource.get(), name, document.name);
  return document;
}

}  // namespace

Result<std::vector<Document>> ParseManifest(const std::string& file, const std::string& text,
                                            const std::vector<ManifestKind>& kinds) {
  if (text.size() > kBytesMax) {
    return InvalidArgument("INVALID_MANIFEST",
                           fmt::format("{}: {} bytes; at most {} are read", file, text.size(), kBytesMax));
  }
  Filler filler(file);
  std::vector<Document> documents;
  try {
    const std::vector<YAML::Node> nodes = YAML::LoadAll(text);
    for (const auto& node : nodes) {
      if (node.IsNull()) continue;
      if (documents.size() == kDocumentsMax) {
        return InvalidArgument("INVALID_MANIFEST", fmt::format("{}: more than {} documents", file, kDocumentsMax));
      }
      ALLOD_TRY(Document document, ParseDocument(filler, node, kinds));
      documents.push_back(std::move(document));
    }
  } catch (const YAML::Exception& e) {
    return InvalidArgument("INVALID_MANIFEST", fmt::format("{}:{}: {}", file, e.mark.line + 1, e.msg));
  }
  if (documents.empty()) return InvalidArgument("INVALID_MANIFEST", file + ": no document in it");
  return documents;
}

}  // namespace allod::cli
