// Manifests: YAML documents of the form apiVersion/kind/metadata/spec, read into the protobuf message of their kind.
//
//   apiVersion: allod/v1
//   kind: Instance
//   metadata: {name: tenants/ke/projects/main/instances/assistant}
//   spec:
//     region: regions/ke-1
//
// Field names are those of the API in lowerCamelCase. Unknown fields, wrong types and values outside an enum are
// refused with file, line and field. At most 1 MiB, 256 documents, nesting 16.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli {

struct Document {
  std::string kind;
  std::string name;   // metadata.name
  std::string where;  // "file.yaml:12", for messages
  std::unique_ptr<google::protobuf::Message> resource;
};

// `make(kind)` gives an empty message of the kind whose field `spec_field(kind)` (or the message itself, when that is
// empty) is filled from `spec`; nullptr for an unknown kind. `name` is set from metadata.name. INVALID_ARGUMENT /
// INVALID_MANIFEST.
struct ManifestKind {
  std::string kind;
  const google::protobuf::Message* prototype;
  std::string spec_field;
};
Result<std::vector<Document>> ParseManifest(const std::string& file, const std::string& text,
                                            const std::vector<ManifestKind>& kinds);

}  // namespace allod::cli
