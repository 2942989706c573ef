// `allod apply -f FILE`: makes what is there equal to what a manifest says. Shows the plan first; safe to repeat.

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/connections.h"
#include "cli/manifest.h"
#include "cli/plan.h"
#include "cli/print.h"
#include "cli/resources.h"
#include "services/common/ids.h"

namespace allod::cli {
namespace {

using google::protobuf::Message;

struct Options {
  std::string file;
  bool dry_run = false;
  bool wait = true;
};

enum class Action { kCreate, kUpdate, kNothing };

struct Step {
  const ResourceKind* kind;
  Document document;
  Action action;
  MessagePtr current;
  std::vector<FieldChange> changes;
};

Result<std::vector<Document>> ReadDocuments(const Options& options) {
  std::vector<ManifestKind> kinds;
  for (const auto& kind : ResourceKinds()) {
    if (kind.create) kinds.push_back({kind.kind, kind.prototype, kind.spec_field, kind.spec_fields});
  }
  if (options.file == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    return ParseManifest("standard input", text, kinds);
  }
  ALLOD_TRY(const std::string text, ReadFile(options.file));
  return ParseManifest(options.file, text, kinds);
}

const Message& SpecOf(const ResourceKind& kind, const Message& resource) {
  if (kind.spec_field.empty()) return resource;
  return resource.GetReflection()->GetMessage(resource, resource.GetDescriptor()->FindFieldByName(kind.spec_field));
}

std::vector<FieldChange> Compare(const ResourceKind& kind, const Message& current, const Message& wanted,
                                 const std::vector<std::string>& fields) {
  return Differences(SpecOf(kind, current), SpecOf(kind, wanted), fields, kind.decimals);
}

// What an update would change. The server fills in defaults and judges, so it is asked, where it can be: what an
// update refers to may be made by this very manifest, and is then judged when its turn comes.
Result<std::vector<FieldChange>> PlanUpdate(const StateDir& state, const ResourceKind& kind, const Document& document,
                                            const Message& current, bool creates_before) {
  const auto fields = kind.spec_field.empty() ? kind.spec_fields : FieldNames(SpecOf(kind, current));
  if (!kind.preview) return Compare(kind, current, *document.resource, fields);
  const auto preview = kind.preview(state, current, *document.resource);
  if (preview) return Compare(kind, current, **preview, fields);
  const Code code = preview.error().code;
  if (creates_before && (code == Code::kFailedPrecondition || code == Code::kNotFound)) {
    return Compare(kind, current, *document.resource, fields);
  }
  Error error = preview.error();
  error.message = fmt::format("{}: {}", document.where, error.message);
  return std::unexpected(error);
}

Result<Step> PlanStep(const StateDir& state, Document document, bool creates_before) {
  ALLOD_TRY(const ResourceKind* kind, FindKind(document.kind));
  if (auto matched = MatchName(document.where + ": metadata.name", document.name, kind->pattern); !matched) {
    return std::unexpected(matched.error());
  }
  auto current = kind->get(state, document.name);
  if (!current && current.error().code == Code::kNotFound) {
    return Step{kind, std::move(document), Action::kCreate, nullptr, {}};
  }
  if (!current) return std::unexpected(current.error());
  if (!kind->update) {
    const auto changes = Compare(*kind, **current, *document.resource, document.given);
    if (changes.empty()) return Step{kind, std::move(document), Action::kNothing, nullptr, {}};
    return FailedPrecondition("IMMUTABLE",
                              fmt::format("{}: {} {} exists with other content ({}) and cannot be changed; give the "
                                          "new one another name",
                                          document.where, document.kind, document.name, ToText(changes)));
  }
  ALLOD_TRY(auto changes, PlanUpdate(state, *kind, document, **current, creates_before));
  const Action action = changes.empty() ? Action::kNothing : Action::kUpdate;
  return Step{kind, std::move(document), action, *std::move(current), std::move(changes)};
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

std::string ToText(const std::vector<Step>& steps) {
  std::vector<std::vector<std::string>> rows;
  for (const Step& step : steps) {
    rows.push_back({Describe(step.action), step.document.kind, step.document.name, ToText(step.changes)});
  }
  return Table({"PLAN", "KIND", "NAME", "CHANGES"}, rows);
}

std::string ToJson(const std::vector<Step>& steps) {
  nlohmann::json items = nlohmann::json::array();
  for (const Step& step : steps) {
    nlohmann::json changes = nlohmann::json::array();
    for (const FieldChange& change : step.changes) {
      changes.push_back({{"field", change.field}, {"from", change.from}, {"to", change.to}});
    }
    items.push_back({{"plan", Describe(step.action)},
                     {"kind", step.document.kind},
                     {"name", step.document.name},
                     {"changes", changes}});
  }
  return nlohmann::json{{"items", items}}.dump(2) + "\n";
}

Status Apply(const Globals& globals, const Options& options) {
  // The whole file is read before anything is changed.
  ALLOD_TRY(std::vector<Document> documents, ReadDocuments(options));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  std::vector<Step> steps;
  bool creates_before = false;
  for (auto& document : documents) {
    ALLOD_TRY(Step step, PlanStep(state, std::move(document), creates_before));
    creates_before = creates_before || step.action == Action::kCreate;
    steps.push_back(std::move(step));
  }
  if (!globals.json()) Print(ToText(steps));
  if (options.dry_run) {
    if (globals.json()) Print(ToJson(steps));
    return {};
  }
  for (Step& step : steps) {
    if (step.action == Action::kNothing) continue;
    // One id for all tries of this step.
    const std::string request_id = Uuid::V7().ToString();
    auto change = step.action == Action::kCreate
                      ? step.kind->create(state, *step.document.resource, request_id)
                      : step.kind->update(state, *step.current, *step.document.resource, request_id);
    if (!change) {
      Error error = change.error();
      error.message = fmt::format("{}: {}", step.document.where, error.message);
      return std::unexpected(error);
    }
    if (options.wait) ALLOD_CHECK_OK(WaitForChange(state, *change, step.document.name));
  }
  if (globals.json()) {
    std::vector<MessagePtr> now;
    std::vector<const Message*> shown;
    for (const Step& step : steps) {
      ALLOD_TRY(MessagePtr message, step.kind->get(state, step.document.name));
      shown.push_back(message.get());
      now.push_back(std::move(message));
    }
    Print(ToJsonList(shown));
  }
  return {};
}

}  // namespace

void AddApplyCommand(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  auto* apply = app.add_subcommand(
      "apply", "Make what is there equal to a manifest: tenants, projects, billing accounts, listings, instances");
  apply->add_option("-f,--file", options->file, "YAML file, or - for standard input")->required();
  apply->add_flag("--dry-run", options->dry_run,
                  "Only show the plan: what would be created, and which fields changed from what to what");
  apply->add_flag("--wait,!--no-wait", options->wait, "Wait until instances are ready (default)");
  apply->callback([&globals, options] { globals.action = [&globals, options] { return Apply(globals, *options); }; });
}

}  // namespace allod::cli
