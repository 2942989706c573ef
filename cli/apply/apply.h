// What `allod apply` does with a manifest: plans each step against what is there, has the service judge it
// (validate_only), then carries the steps out. What a plan shows, the services have accepted; only what hangs on
// something that an earlier step makes is judged in full when that is there, and the plan says so.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/apply/manifest.h"
#include "cli/apply/plan.h"
#include "cli/kinds/kind.h"

namespace allod::cli::apply {

enum class Action { kCreate, kUpdate, kNothing };

struct Step {
  const kinds::ResourceKind* kind;
  Document document;
  Action action;
  terminal::MessagePtr current;
  std::vector<FieldChange> changes;
  std::string
      awaits;  // the name of what an earlier step makes or changes and without which this one is not judged in full
  std::vector<std::string> stops = {};             // names of what will stop running
  std::optional<kinds::Unsettled> unsettled = {};  // of what is as the manifest says, and yet not there
};

// The kinds that a manifest may hold.
std::vector<ManifestKind> ManifestKinds();

// In the order of the documents, but what one of them says comes after another does (ResourceKind::after). What a
// service refuses is refused here, with the same reason: `where: message`. FAILED_PRECONDITION / IMMUTABLE for other
// content of what cannot be changed. Changes nothing.
Result<std::vector<Step>> PlanSteps(const net::Services& services, std::vector<Document> documents);

// How long something that does not get ready is given to do so after all, such as a worker whose node is starting.
constexpr std::chrono::milliseconds kPatience{10'000};

// Stops at the first step that fails. With `wait` until what was changed is there, and then until what needed no change
// is there as well: FAILED_PRECONDITION with the service's reason (INSTANCE_FAILING, TENANT_SUSPENDED, ...) when it is
// not on its way for `patience`.
Status CarryOut(const net::Services& services, const std::vector<Step>& steps, bool wait,
                std::chrono::milliseconds patience = kPatience);

// What all of it stops, for a question; empty: nothing.
std::string Stopping(const std::vector<Step>& steps);

std::string ToText(const std::vector<Step>& steps);
std::string ToJson(const std::vector<Step>& steps);

}  // namespace allod::cli::apply
