// A kind of resource: how it is named and shown, read, listed, created and changed. `get`, `describe`, `delete` and
// `apply` are written once over this.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/net/operations.h"
#include "cli/terminal/print.h"
#include "services/common/result.h"

namespace allod::cli::kinds {

// How a change is asked for.
struct Attempt {
  std::string request_id = {};
  bool validate_only = false;  // judged by the service like the real one, but nothing is changed
};

// What a resource is not yet, although nothing is left to be changed of it.
struct Unsettled {
  Error error;          // for who waits for it
  bool passes = false;  // it is on its way; else it is tried again, and may stay so
};

struct ResourceKind {
  using Services = net::Services;
  using Message = google::protobuf::Message;

  std::string kind;            // "Instance"
  std::string plural;          // "instances", as in `allod get instances`
  std::string pattern;         // of its names
  std::string parent_pattern;  // of what it is listed under; empty: nothing
  std::string all_parents;     // lists under every parent; empty: there is no such name
  terminal::Columns columns;
  const Message* prototype;
  // Manifests: the field that `spec` fills; empty: the resource itself. Not applied at all when `create` is empty.
  std::string spec_field;
  // The fields of the resource that a manifest may set; the others are the platform's.
  std::vector<std::string> spec_fields;
  // Full names of the fields whose text is a decimal number, here and in the messages below.
  std::set<std::string> decimals;

  std::function<Result<terminal::MessagePtr>(const Services&, const std::string& name)> get;
  std::function<Result<std::vector<terminal::MessagePtr>>(const Services&, const std::string& parent)> list;
  std::function<Result<net::Change>(const Services&, const Message&, const Attempt&)> create;
  // Names of what comes before it where a manifest has that too. Empty: nothing does.
  std::function<std::vector<std::string>(const Message& wanted)> after;
  // Names of what `error` says is not there yet; a manifest may make it. Empty: nothing can be missing.
  std::function<std::vector<std::string>(const Message& wanted, const Error& error)> missing;
  // The resource as `update` would leave it, judged like the update; nothing is changed. There where `update` is.
  std::function<Result<terminal::MessagePtr>(const Services&, const Message& current, const Message& wanted)> preview;
  // Empty: what exists with other content is refused.
  std::function<Result<net::Change>(const Services&, const Message& current, const Message& wanted,
                                    const std::string& request_id)>
      update;
  // What would stop running if `current` became `wanted`, by name: what somebody must agree to first. Empty: nothing
  // ever.
  std::function<Result<std::vector<std::string>>(const Services&, const Message& current, const Message& wanted)> stops;
  std::function<Result<net::Change>(const Services&, const std::string& name, const std::string& request_id)> remove;
  // What goes with it when it is deleted, in words: whoever deletes one is asked first. Empty: not asked.
  std::string lost = {};
  // Empty: what is there is as it should be at once.
  std::function<std::optional<Unsettled>(const Message&)> unsettled;
};

}  // namespace allod::cli::kinds
