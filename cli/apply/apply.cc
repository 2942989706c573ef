#include "cli/apply/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "cli/apply/order.h"
#include "cli/kinds/registry.h"
#include "cli/terminal/print.h"
#include "cli/terminal/progress.h"
#include "services/common/ids.h"

namespace allod::cli::apply {
namespace {

using google::protobuf::Message;
using net::Services;

Message& MutableSpecOf(const kinds::ResourceKind& kind, Message& resource) {
  if (kind.spec_field.empty()) return resource;
  const auto* field = resource.GetDescriptor()->FindFieldByName(kind.spec_field);
  return *resource.GetReflection()->MutableMessage(&resource, field);
}

const Message& SpecOf(const kinds::ResourceKind& kind, const Message& resource) {
  if (kind.spec_field.empty()) return resource;  // NOLINT(bugprone-return-const-ref-from-parameter): as its part is
  return resource.GetReflection()->GetMessage(resource, resource.GetDescriptor()->FindFieldByName(kind.spec_field));
}

std::vector<FieldChange> Compare(const kinds::ResourceKind& kind, const Message& current, const Message& wanted,
                                 const std::vector<std::string>& fields) {
  return Differences(SpecOf(kind, current), SpecOf(kind, wanted), fields, kind.decimals);
}

std::unexpected<Error> At(const Document& document, Error error) {
  error.message = fmt::format("{}: {}", document.where, error.message);
  return std::unexpected(std::move(error));
}

// Which of what earlier steps make is missing for the service to judge in full; empty: none, the error is the answer.
std::string Awaited(const kinds::ResourceKind& kind, const Message& wanted, const Error& error,
                    const std::set<std::string>& created) {
  if (!kind.missing) return "";
  const auto names = kind.missing(wanted, error);
  const auto found = std::ranges::find_if(names, [&](const std::string& name) { return created.contains(name); });
  return found == names.end() ? "" : *found;
}

Result<Step> PlanCreate(const Services& services, const kinds::ResourceKind& kind, Document document,
                        const std::set<std::string>& created) {
  const auto judged = kind.create(services, *document.resource, {.validate_only = true});
  std::string awaits = judged ? "" : Awaited(kind, *document.resource, judged.error(), created);
  if (!judged && awaits.empty()) return At(document, judged.error());
  return Step{&kind, std::move(document), Action::kCreate, nullptr, {}, std::move(awaits)};
}

// The service fills in defaults and judges. What is awaited is compared as the manifest says it.
Result<Step> PlanUpdate(const Services& services, const kinds::ResourceKind& kind, Document document,
                        terminal::MessagePtr current, const std::set<std::string>& created) {
  const auto fields = kind.spec_field.empty() ? kind.spec_fields : FieldNames(SpecOf(kind, *current));
  KeepUnnamedGroups(SpecOf(kind, *current), fields, document.given, MutableSpecOf(kind, *document.resource));
  const auto preview = kind.preview(services, *current, *document.resource);
  std::string awaits = preview ? "" : Awaited(kind, *document.resource, preview.error(), created);
  if (!preview && awaits.empty()) return At(document, preview.error());
  auto changes = Compare(kind, *current, preview ? **preview : *document.resource, fields);
  const Action action = changes.empty() ? Action::kNothing : Action::kUpdate;
  std::vector<std::string> stops;
  if (kind.stops && action == Action::kUpdate && preview) {
    ALLOD_TRY(stops, kind.stops(services, *current, **preview));
  }
  std::optional<kinds::Unsettled> unsettled;
  if (kind.unsettled && action == Action::kNothing) unsettled = kind.unsettled(*current);
  return Step{&kind,
              std::move(document),
              action,
              std::move(current),
              std::move(changes),
              std::move(awaits),
              std::move(stops),
              std::move(unsettled)};
}

std::vector<std::string> NamesBefore(const Document& document) {
  const auto kind = kinds::FindKind(document.kind);
  if (!kind || !(*kind)->after) return {};
  return (*kind)->after(*document.resource);
}

Result<Step> PlanStep(const Services& services, Document document, const std::set<std::string>& created) {
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind(document.kind));
  if (auto matched = MatchName(document.where + ": metadata.name", document.name, kind->pattern); !matched) {
    return std::unexpected(matched.error());
  }
  auto current = kind->get(services, document.name);
  if (!current && current.error().code == Code::kNotFound) {
    return PlanCreate(services, *kind, std::move(document), created);
  }
  if (!current) return std::unexpected(current.error());
  if (kind->update) return PlanUpdate(services, *kind, std::move(document), *std::move(current), created);
  const auto changes = Compare(*kind, **current, *document.resource, document.given);
  if (changes.empty()) return Step{kind, std::move(document), Action::kNothing, nullptr, {}, ""};
  return FailedPrecondition("IMMUTABLE",
                            fmt::format("{}: {} {} exists with other content ({}) and cannot be changed; give the "
                                        "new one another name",
                                        document.where, document.kind, document.name, ToText(changes)));
}

// A failure in the middle leaves what was done, also of the step that failed while it was waited for.
Error AfterWhatWasDone(Error error, const std::vector<std::string>& done) {
  if (!done.empty()) {
    error.message += fmt::format("; this was done, and stays: {}. Apply the manifest again when it is mended",
                                 fmt::join(done, ", "));
  }
  return error;
}

// Until what needed no change is there.
Status AwaitSettled(const Services& services, const Step& step, std::chrono::milliseconds patience) {
  const std::string& name = step.document.name;
  terminal::Progress progress(name);
  auto hopeful = std::chrono::steady_clock::now();
  while (true) {
    const auto now = step.kind->get(services, name);
    // A service may be restarted meanwhile.
    if (!now && now.error().code != Code::kUnavailable) return std::unexpected(now.error());
    const auto unsettled = now ? step.kind->unsettled(**now) : kinds::Unsettled{now.error()};
    if (!unsettled) break;
    if (unsettled->passes) hopeful = std::chrono::steady_clock::now();
    if (std::chrono::steady_clock::now() - hopeful >= patience) {
      progress.Finish("failed");
      if (!now) return std::unexpected(now.error());
      Error error = unsettled->error;
      error.message =
          fmt::format("{} is what the manifest says, but {}; it is tried again by itself", name, error.message);
      return std::unexpected(std::move(error));
    }
    progress.Show(unsettled->error.message, -1);
    std::this_thread::sleep_for(std::min(patience, std::chrono::milliseconds(300)));
  }
  progress.Finish("done");
  return {};
}

const char* Describe(Action action) {
  switch (action) {
    case Action::kCreate:
      return "create";
    case Action::kUpdate:
      return "change";
    case Action::kNothing:
      return "as it is";
  }
  return "";
}

}  // namespace

std::vector<ManifestKind> ManifestKinds() {
  std::vector<ManifestKind> out;
  for (const auto& kind : kinds::ResourceKinds()) {
    if (kind.create) out.push_back({kind.kind, kind.prototype, kind.spec_field, kind.spec_fields});
  }
  return out;
}

Result<std::vector<Step>> PlanSteps(const Services& services, std::vector<Document> documents) {
  std::vector<Step> steps;
  std::set<std::string> created;  // or changed
  for (auto& document : InOrder(std::move(documents), &NamesBefore)) {
    ALLOD_TRY(Step step, PlanStep(services, std::move(document), created));
    if (step.action != Action::kNothing) created.insert(step.document.name);
    steps.push_back(std::move(step));
  }
  return steps;
}

Status CarryOut(const Services& services, const std::vector<Step>& steps, bool wait,
                std::chrono::milliseconds patience) {
  std::vector<std::string> done;
  for (const Step& step : steps) {
    if (step.action == Action::kNothing) continue;
    // One id for all tries of this step.
    const std::string request_id = Uuid::V7().ToString();
    auto change = step.action == Action::kCreate
                      ? step.kind->create(services, *step.document.resource, {.request_id = request_id})
                      : step.kind->update(services, *step.current, *step.document.resource, request_id);
    if (!change) return At(step.document, AfterWhatWasDone(change.error(), done));
    done.push_back(fmt::format("{} {}", step.action == Action::kCreate ? "created" : "changed", step.document.name));
    if (wait) {
      const Status waited = net::WaitForChange(services, *change, step.document.name);
      if (!waited) return std::unexpected(AfterWhatWasDone(waited.error(), done));
    }
  }
  for (const Step& step : steps) {
    if (!wait || !step.unsettled) continue;
    const Status settled = AwaitSettled(services, step, patience);
    if (!settled) return At(step.document, AfterWhatWasDone(settled.error(), done));
  }
  return {};
}

std::string Stopping(const std::vector<Step>& steps) {
  std::vector<std::string> names;
  for (const Step& step : steps) names.insert(names.end(), step.stops.begin(), step.stops.end());
  return names.empty() ? "" : fmt::format("this stops {}", terminal::Some(names));
}

std::string ToText(const std::vector<Step>& steps) {
  std::vector<std::vector<std::string>> rows;
  for (const Step& step : steps) {
    std::string changes = ToText(step.changes);
    if (!step.awaits.empty()) {
      changes += fmt::format("{}judged in full when {} is there", changes.empty() ? "" : "; ", step.awaits);
    }
    if (!step.stops.empty()) changes += fmt::format("; stops {}", terminal::Some(step.stops));
    if (step.unsettled) changes = "not there yet: " + step.unsettled->error.message;
    rows.push_back({Describe(step.action), step.document.kind, step.document.name, changes});
  }
  return terminal::Table({"PLAN", "KIND", "NAME", "CHANGES"}, rows);
}

std::string ToJson(const std::vector<Step>& steps) {
  nlohmann::json items = nlohmann::json::array();
  for (const Step& step : steps) {
    nlohmann::json changes = nlohmann::json::array();
    for (const FieldChange& change : step.changes) {
      changes.push_back({{"field", change.field}, {"from", change.from}, {"to", change.to}});
    }
    nlohmann::json item = {{"plan", Describe(step.action)},
                           {"kind", step.document.kind},
                           {"name", step.document.name},
                           {"changes", changes}};
    if (!step.awaits.empty()) item["judgedInFullAfter"] = step.awaits;
    if (!step.stops.empty()) item["stops"] = step.stops;
    if (step.unsettled) item["notThereYet"] = step.unsettled->error.message;
    items.push_back(std::move(item));
  }
  return nlohmann::json{{"items", items}}.dump(2) + "\n";
}

}  // namespace allod::cli::apply
