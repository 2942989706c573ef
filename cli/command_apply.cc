// `allod apply -f FILE`: makes what is there equal to what a manifest says. Shows the plan first; safe to repeat.

#include <fmt/format.h>
#include <google/protobuf/util/field_comparator.h>
#include <google/protobuf/util/message_differencer.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/commands.h"
#include "cli/connections.h"
#include "cli/manifest.h"
#include "cli/print.h"
#include "cli/resources.h"
#include "services/common/ids.h"
#include "services/common/money.h"

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
};

// Decimals are the same whatever their final zeros: the server stores 12.50 as 12.5.
class DecimalComparator : public google::protobuf::util::SimpleFieldComparator {
 public:
  ComparisonResult Compare(const Message& a, const Message& b, const google::protobuf::FieldDescriptor* field,
                           int index_a, int index_b, const google::protobuf::util::FieldContext* context) override {
    if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
      const auto x = Amount::Parse("", Text(a, field, index_a));
      const auto y = Amount::Parse("", Text(b, field, index_b));
      if (x && y) return *x == *y ? SAME : DIFFERENT;
    }
    return SimpleCompare(a, b, field, index_a, index_b, context);
  }

 private:
  static std::string Text(const Message& message, const google::protobuf::FieldDescriptor* field, int index) {
    return field->is_repeated() ? message.GetReflection()->GetRepeatedString(message, field, index)
                                : message.GetReflection()->GetString(message, field);
  }
};

// Compares a field of the manifest with what is there. What the manifest leaves out is the server's to choose.
bool Covers(const Message& wanted, const Message& current) {
  const auto* reflection = wanted.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> set;
  reflection->ListFields(wanted, &set);
  for (const auto* field : set) {
    if (!field->is_repeated() && field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!Covers(reflection->GetMessage(wanted, field), reflection->GetMessage(current, field))) return false;
      continue;
    }
    google::protobuf::util::MessageDifferencer differencer;
    DecimalComparator comparator;
    differencer.set_field_comparator(&comparator);
    // Every list of a manifest is a set: the server may keep it in an order of its own.
    differencer.set_repeated_field_comparison(google::protobuf::util::MessageDifferencer::AS_SET);
    if (!differencer.CompareWithFields(wanted, current, {field}, {field})) return false;
  }
  return true;
}

bool SameSpec(const ResourceKind& kind, const Message& wanted, const Message& current) {
  const MessagePtr part(wanted.New());
  part->CopyFrom(wanted);
  const auto* type = part->GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto& fields = kind.spec_fields;
    if (std::find(fields.begin(), fields.end(), type->field(i)->name()) == fields.end()) {
      part->GetReflection()->ClearField(part.get(), type->field(i));
    }
  }
  return Covers(*part, current);
}

Result<std::vector<Document>> ReadDocuments(const Options& options) {
  std::vector<ManifestKind> kinds;
  for (const auto& kind : ResourceKinds()) {
    if (kind.create) kinds.push_back({kind.kind, kind.prototype, kind.spec_field});
  }
  if (options.file == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
    return ParseManifest("standard input", text, kinds);
  }
  ALLOD_TRY(const std::string text, ReadFile(options.file));
  return ParseManifest(options.file, text, kinds);
}

Result<Step> PlanStep(const StateDir& state, Document document) {
  ALLOD_TRY(const ResourceKind* kind, FindKind(document.kind));
  if (auto matched = MatchName(document.where + ": metadata.name", document.name, kind->pattern); !matched) {
    return std::unexpected(matched.error());
  }
  auto current = kind->get(state, document.name);
  if (!current && current.error().code == Code::kNotFound)
    return Step{kind, std::move(document), Action::kCreate, nullptr};
  if (!current) return std::unexpected(current.error());
  if (SameSpec(*kind, *document.resource, **current)) return Step{kind, std::move(document), Action::kNothing, nullptr};
  if (!kind->update) {
    return FailedPrecondition("IMMUTABLE",
                              fmt::format("{}: {} {} exists with other content and cannot be changed; give the new one "
                                          "another name",
                                          document.where, document.kind, document.name));
  }
  return Step{kind, std::move(document), Action::kUpdate, *std::move(current)};
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

Status Apply(const Globals& globals, const Options& options) {
  // The whole file is read before anything is changed.
  ALLOD_TRY(std::vector<Document> documents, ReadDocuments(options));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  std::vector<Step> steps;
  for (auto& document : documents) {
    ALLOD_TRY(Step step, PlanStep(state, std::move(document)));
    steps.push_back(std::move(step));
  }
  std::vector<std::vector<std::string>> plan;
  for (const Step& step : steps) plan.push_back({Describe(step.action), step.document.kind, step.document.name});
  if (!globals.json()) Print(Table({"PLAN", "KIND", "NAME"}, plan));
  if (options.dry_run) return {};
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
  apply->add_flag("--dry-run", options->dry_run, "Only show the plan");
  apply->add_flag("--wait,!--no-wait", options->wait, "Wait until instances are ready (default)");
  apply->callback([&globals, options] { globals.action = [&globals, options] { return Apply(globals, *options); }; });
}

}  // namespace allod::cli
