#include "cli/apply/plan.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/field_comparator.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "cli/terminal/print.h"
#include "services/common/money.h"

namespace allod::cli::apply {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

class TypedComparator : public google::protobuf::util::SimpleFieldComparator {
 public:
  explicit TypedComparator(const std::set<std::string>& decimals) : decimals_(decimals) {}

  ComparisonResult Compare(const Message& a, const Message& b, const FieldDescriptor* field, int index_a, int index_b,
                           const google::protobuf::util::FieldContext* context) override {
    if (decimals_.contains(field->full_name())) {
      const auto x = Amount::Parse("", Text(a, field, index_a));
      const auto y = Amount::Parse("", Text(b, field, index_b));
      if (x && y) return *x == *y ? SAME : DIFFERENT;
    }
    return SimpleCompare(a, b, field, index_a, index_b, context);
  }

 private:
  static std::string Text(const Message& message, const FieldDescriptor* field, int index) {
    return field->is_repeated() ? message.GetReflection()->GetRepeatedString(message, field, index)
                                : message.GetReflection()->GetString(message, field);
  }

  const std::set<std::string>& decimals_;
};

bool IsDefault(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  return field->is_repeated() ? reflection->FieldSize(message, field) == 0 : !reflection->HasField(message, field);
}

std::string Shown(const Message& message, const FieldDescriptor* field) {
  return IsDefault(message, field) ? "" : terminal::FieldText(message, field->name());
}

}  // namespace

std::vector<FieldChange> Differences(const Message& current, const Message& wanted,
                                     const std::vector<std::string>& fields, const std::set<std::string>& decimals) {
  std::vector<FieldChange> changes;
  for (const std::string& name : fields) {
    const FieldDescriptor* field = wanted.GetDescriptor()->FindFieldByName(name);
    MessageDifferencer differencer;
    TypedComparator comparator(decimals);
    differencer.set_field_comparator(&comparator);
    differencer.set_repeated_field_comparison(MessageDifferencer::AS_SET);
    // A field that is not set compares as its default.
    differencer.set_message_field_comparison(MessageDifferencer::EQUIVALENT);
    if (differencer.CompareWithFields(current, wanted, {field}, {field})) continue;
    changes.push_back({field->camelcase_name(), Shown(current, field), Shown(wanted, field)});
  }
  return changes;
}

void KeepUnnamedGroups(const Message& current, const std::vector<std::string>& fields,
                       const std::vector<std::string>& given, Message& wanted) {
  const auto* reflection = wanted.GetReflection();
  for (const std::string& name : fields) {
    const FieldDescriptor* field = wanted.GetDescriptor()->FindFieldByName(name);
    const bool is_group = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!is_group || std::ranges::find(given, name) != given.end()) continue;
    reflection->ClearField(&wanted, field);
    if (field->is_repeated()) {
      for (int i = 0; i < current.GetReflection()->FieldSize(current, field); ++i) {
        reflection->AddMessage(&wanted, field)
            ->CopyFrom(current.GetReflection()->GetRepeatedMessage(current, field, i));
      }
    } else if (current.GetReflection()->HasField(current, field)) {
      reflection->MutableMessage(&wanted, field)->CopyFrom(current.GetReflection()->GetMessage(current, field));
    }
  }
}

std::vector<std::string> FieldNames(const Message& message) {
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(message.GetDescriptor()->field_count()));
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    names.push_back(message.GetDescriptor()->field(i)->name());
  }
  return names;
}

std::string ToText(const std::vector<FieldChange>& changes) {
  std::string text;
  for (const FieldChange& change : changes) {
    const auto shown = [](const std::string& value) { return value.empty() ? "default" : value; };
    text += fmt::format("{}{}: {} -> {}", text.empty() ? "" : ", ", change.field, shown(change.from), shown(change.to));
  }
  return text;
}

}  // namespace allod::cli::apply
