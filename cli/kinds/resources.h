// The kinds of resource that the command line knows: how each is read, listed, created and changed. `apply`, `get`,
// `describe` and `delete` are written once over this table.
#pragma once

#include <google/longrunning/operations.pb.h>
#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/installation/state_dir.h"
#include "services/common/result.h"

namespace allod::cli {

using MessagePtr = std::unique_ptr<google::protobuf::Message>;

// What a change started, if it takes time.
struct Change {
  std::string service;  // whose operation it is
  google::longrunning::Operation operation;
};

// How a change is asked for.
struct Attempt {
  std::string request_id = {};
  bool validate_only = false;  // judged by the service like the real one, but nothing is changed
};

struct ResourceKind {
  std::string kind;                                          // "Instance"
  std::string plural;                                        // "instances", as in `allod get instances`
  std::string pattern;                                       // of its names
  std::string parent_pattern;                                // of what it is listed under; empty: nothing
  std::string all_parents;                                   // lists under every parent; empty: there is no such name
  std::vector<std::pair<std::string, std::string>> columns;  // heading, field path
  const google::protobuf::Message* prototype;
  // Manifests: the field that `spec` fills; empty: the resource itself. Not applied at all when `create` is empty.
  std::string spec_field;
  // The fields of the resource that a manifest may set; the others are the platform's.
  std::vector<std::string> spec_fields;
  // Full names of the fields whose text is a decimal number, here and in the messages below.
  std::set<std::string> decimals;

  std::function<Result<MessagePtr>(const StateDir&, const std::string& name)> get;
  std::function<Result<std::vector<MessagePtr>>(const StateDir&, const std::string& parent)> list;
  std::function<Result<Change>(const StateDir&, const google::protobuf::Message&, const Attempt&)> create;
  // Names of what `error` says is not there yet; a manifest may make it. Empty: nothing can be missing.
  std::function<std::vector<std::string>(const google::protobuf::Message& wanted, const Error& error)> missing;
  // The resource as `update` would leave it, judged like the update; nothing is changed. There where `update` is.
  std::function<Result<MessagePtr>(const StateDir&, const google::protobuf::Message& current,
                                   const google::protobuf::Message& wanted)>
      preview;
  // Empty: what exists with other content is refused.
  std::function<Result<Change>(const StateDir&, const google::protobuf::Message& current,
                               const google::protobuf::Message& wanted, const std::string& request_id)>
      update;
  std::function<Result<Change>(const StateDir&, const std::string& name, const std::string& request_id)> remove;
};

const std::vector<ResourceKind>& ResourceKinds();
// By kind, plural or singular in any case. INVALID_ARGUMENT / UNKNOWN_KIND lists the known ones.
Result<const ResourceKind*> FindKind(const std::string& text);

// Waits for a started change and shows its progress; returns at once when there is nothing to wait for. The error of a
// failed operation is returned.
Status WaitForChange(const StateDir& state, const Change& change, const std::string& what);

}  // namespace allod::cli
