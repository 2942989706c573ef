#include "cli/apply/manifest.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>

#include "services/common/text_check.h"

namespace allod::cli::apply {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::size_t kBytesMax = 1 << 20;
constexpr std::size_t kDocumentsMax = 256;
constexpr int kDepthMax = 16;
constexpr int kValuesMax = 100'000;  // YAML aliases can make a small text grow without bound when it is walked

// Integers of YAML 1.2's core schema: decimal (zeros in front mean nothing), 0o octal, 0x hexadecimal.
template <typename T>
bool ReadInteger(std::string_view text, T& value) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    if (text.size() == 2 || negative) return false;
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
  }
  std::uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return false;
  const auto limit = static_cast<std::uint64_t>(std::numeric_limits<T>::max()) + (negative ? 1 : 0);
  if (magnitude > limit) return false;
  value = static_cast<T>(negative ? 0 - magnitude : magnitude);
  return true;
}

bool ReadBool(const std::string& text, bool& value) {
  value = text == "true" || text == "True" || text == "TRUE";
  return value || text == "false" || text == "False" || text == "FALSE";
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Filler {
 public:
  explicit Filler(std::string file) : file_(std::move(file)) {}

  std::unexpected<Error> Wrong(const YAML::Node& node, const std::string& text) const {
    return InvalidArgument("INVALID_MANIFEST", fmt::format("{}: {}", Where(node), text));
  }
  std::string Where(const YAML::Node& node) const { return fmt::format("{}:{}", file_, node.Mark().line + 1); }

  // YAML lets a key stand twice and yaml-cpp takes the first: nobody could say which of them was meant. Aliases of a
  // field's name are the caller's to tell apart.
  Status CheckKeysOnce(const YAML::Node& map, const std::string& path) const {
    std::map<std::string, int> lines;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) return Wrong(entry.first, path + ": a key must be a single word");
      const auto [it, is_new] = lines.emplace(entry.first.Scalar(), entry.first.Mark().line + 1);
      if (!is_new) {
        return Wrong(entry.first, fmt::format("{}{}{}: stands here twice, first in line {}", path,
                                              path.empty() ? "" : ".", entry.first.Scalar(), it->second));
      }
    }
    return {};
  }

  // Fields whose names are in `settable` only, unless that is null. The names of those that were set go to `given`.
  Status FillSpec(const YAML::Node& node, Message& message, const std::vector<std::string>* settable,
                  std::vector<std::string>& given) {
    ALLOD_CHECK_OK(Fill(node, "spec", message, 0, settable));
    for (const auto& entry : node) given.push_back(FieldOf(message.GetDescriptor(), entry.first.Scalar())->name());
    return {};
  }

 private:
  static const FieldDescriptor* FieldOf(const Descriptor* type, const std::string& key) {
    const FieldDescriptor* field = type->FindFieldByCamelcaseName(key);
    return field != nullptr ? field : type->FindFieldByName(key);
  }

  Status Fill(const YAML::Node& node, const std::string& path, Message& message, int depth,
              const std::vector<std::string>* settable = nullptr) {
    if (depth > kDepthMax) return Wrong(node, fmt::format("{}: nested deeper than {}", path, kDepthMax));
    if (!node.IsMap()) return Wrong(node, path + ": fields are expected here");
    ALLOD_CHECK_OK(CheckKeysOnce(node, path));
    const Descriptor* type = message.GetDescriptor();
    std::map<const FieldDescriptor*, int> lines;
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      const FieldDescriptor* field = FieldOf(type, key);
      if (field == nullptr) {
        return Wrong(entry.first, fmt::format("{}.{}: unknown field; known are {}", path, key, Known(type, settable)));
      }
      if (settable != nullptr && !Contains(*settable, field->name())) {
        return Wrong(entry.first,
                     fmt::format("{}.{}: not for a manifest to set; it may set {}", path, key, Known(type, settable)));
      }
      // displayName and display_name are one field.
      const auto [it, is_new] = lines.emplace(field, entry.first.Mark().line + 1);
      if (!is_new) {
        return Wrong(entry.first, fmt::format("{}.{}: stands here twice, first in line {}", path, key, it->second));
      }
      const std::string below = fmt::format("{}.{}", path, key);
      // There is none of it, which is not the same as that nothing is said of it.
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && entry.second.IsNull()) continue;
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

  static std::string Known(const Descriptor* type, const std::vector<std::string>* settable) {
    std::string names;
    for (int i = 0; i < type->field_count(); ++i) {
      if (settable != nullptr && !Contains(*settable, type->field(i)->name())) continue;
      names += (names.empty() ? "" : ", ") + type->field(i)->camelcase_name();
    }
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
      if (ReadInteger(node.Scalar(), value)) return value;
      return Wrong(node, fmt::format("{}: '{}' is not a whole number of the right size", path, node.Scalar()));
    };
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string& value = node.Scalar();
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
        if (!ReadBool(node.Scalar(), value)) return Wrong(node, path + ": true or false is expected here");
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
  ALLOD_CHECK_OK(filler.CheckKeysOnce(node, ""));
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
  ALLOD_CHECK_OK(filler.CheckKeysOnce(metadata, "metadata"));
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
  if (node["spec"]) {
    const auto* settable = target == document.resource.get() ? &known->settable : nullptr;
    ALLOD_CHECK_OK(filler.FillSpec(node["spec"], *target, settable, document.given));
  }
  reflection->SetString(document.resource.get(), type->FindFieldByName("name"), document.name);
  return document;
}

// YAML is text: what is none is refused before a parser guesses. Line and column in characters are those of editors.
Status CheckIsText(const std::string& file, const std::string& text) {
  const auto bad = FindNoText(text);
  if (!bad) return {};
  const auto line_start = bad->at == 0 ? std::string::npos : text.rfind('\n', bad->at - 1);
  const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad->at), '\n') + 1;
  const std::size_t column = bad->at - (line_start == std::string::npos ? 0 : line_start + 1) + 1;
  return InvalidArgument("INVALID_MANIFEST", fmt::format("{}:{}: byte {} of the line {}; a manifest is UTF-8 text",
                                                         file, line, column, bad->what));
}

}  // namespace

Result<std::vector<Document>> ParseManifest(const std::string& file, const std::string& text,
                                            const std::vector<ManifestKind>& kinds) {
  if (text.size() > kBytesMax) {
    return InvalidArgument("INVALID_MANIFEST",
                           fmt::format("{}: {} bytes; at most {} are read", file, text.size(), kBytesMax));
  }
  ALLOD_CHECK_OK(CheckIsText(file, text));
  Filler filler(file);
  std::vector<Document> documents;
  std::map<std::pair<std::string, std::string>, std::string> first;  // where each resource stands
  try {
    const std::vector<YAML::Node> nodes = YAML::LoadAll(text);
    for (const auto& node : nodes) {
      if (node.IsNull()) continue;
      if (documents.size() == kDocumentsMax) {
        return InvalidArgument("INVALID_MANIFEST", fmt::format("{}: more than {} documents", file, kDocumentsMax));
      }
      ALLOD_TRY(Document document, ParseDocument(filler, node, kinds));
      const auto [it, is_new] = first.emplace(std::pair(document.kind, document.name), document.where);
      if (!is_new) {
        return filler.Wrong(
            node, fmt::format("{} {} stands here twice, first at {}", document.kind, document.name, it->second));
      }
      documents.push_back(std::move(document));
    }
  } catch (const YAML::Exception& e) {
    return InvalidArgument("INVALID_MANIFEST", fmt::format("{}:{}: {}", file, e.mark.line + 1, e.msg));
  }
  if (documents.empty()) return InvalidArgument("INVALID_MANIFEST", file + ": no document in it");
  return documents;
}

}  // namespace allod::cli::apply
