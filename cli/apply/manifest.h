// Manifests: YAML documents of the form apiVersion/kind/metadata/spec, read into the protobuf message of their kind.
//
//   apiVersion: allod/v1
//   kind: Instance
//   metadata: {name: tenants/ke/projects/main/instances/assistant}
//   spec:
//     region: regions/ke-1
//
// Field names are those of the API in lowerCamelCase. Scalars are read as YAML 1.2's core schema reads them: 0600 is
// six hundred, `yes` is text. Unknown fields, wrong types, values outside an enum, keys and resources that stand twice,
// and what only the platform sets are refused with file, line and field. `null` is for a group of values that there is
// not to be (quota: null). At most 1 MiB of UTF-8, 256 documents,
// nesting 16.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::apply {

struct Document {
  std::string kind;
  std::string name;   // metadata.name
  std::string where;  // "file.yaml:12", for messages
  std::unique_ptr<google::protobuf::Message> resource;
  // The fields that stand in `spec`, by their names in the proto: a value of 0 that was given is not the same as none.
  std::vector<std::string> given;
};

struct ManifestKind {
  std::string kind;
  const google::protobuf::Message* prototype;
  // The field of the resource that `spec` fills; empty: the resource itself.
  std::string spec_field;
  // The fields of the resource that a manifest may set; where `spec_field` is given, all of its fields may be.
  std::vector<std::string> settable;
};

// All documents, or the first error: INVALID_ARGUMENT / INVALID_MANIFEST. `name` is set from metadata.name.
Result<std::vector<Document>> ParseManifest(const std::string& file, const std::string& text,
                                            const std::vector<ManifestKind>& kinds);

}  // namespace allod::cli::apply
