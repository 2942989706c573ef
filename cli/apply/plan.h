// What `allod apply` would change: pure comparison of what a manifest says with what is there.
//
// For a kind that can be changed the manifest says everything: a value, or list of values, that it leaves out has its
// default, whatever it was before. Groups of values (messages: quota, limits, signIn; and lists of them) stay as they
// are when the manifest does not name them; `null` takes one away, as does an empty one. For a kind that cannot be
// changed it says only what it names: the rest was settled when the resource was made. Lists are sets: the server may
// keep them in an order of its own.
#pragma once

#include <google/protobuf/message.h>

#include <set>
#include <string>
#include <vector>

namespace allod::cli::apply {

struct FieldChange {
  std::string field;  // "isolationClass", as manifests write it
  std::string from;   // for people; empty: not set
  std::string to;
  bool operator==(const FieldChange&) const = default;
};

// The fields of `fields` (their names in the proto) in which `wanted` and `current`, of one type, differ. Strings of a
// field in `decimals` (full names, e.g. "allod.billing.v1.BillingAccount.credit_limit") are numbers: 12.50 is 12.5.
std::vector<FieldChange> Differences(const google::protobuf::Message& current, const google::protobuf::Message& wanted,
                                     const std::vector<std::string>& fields, const std::set<std::string>& decimals);

// What a manifest that names the fields `given` leaves alone: each group of values among `fields` becomes in `wanted`
// what it is in `current`, of one type.
void KeepUnnamedGroups(const google::protobuf::Message& current, const std::vector<std::string>& fields,
                       const std::vector<std::string>& given, google::protobuf::Message& wanted);

// All of its fields.
std::vector<std::string> FieldNames(const google::protobuf::Message& message);

// "isolationClass: pooled -> isolated, sleepAfterSeconds: 100 -> default".
std::string ToText(const std::vector<FieldChange>& changes);

}  // namespace allod::cli::apply
