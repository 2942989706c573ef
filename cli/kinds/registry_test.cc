#include "cli/kinds/registry.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>

#include <set>

#include "allod/tenancy/v1/member.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds::registry_test {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

const FieldDescriptor* FieldOf(const Descriptor* type, const std::string& path) {
  const auto dot = path.find('.');
  const FieldDescriptor* field = type->FindFieldByName(path.substr(0, dot));
  if (field == nullptr || dot == std::string::npos) return field;
  return field->message_type() == nullptr ? nullptr : FieldOf(field->message_type(), path.substr(dot + 1));
}

// A misspelt field would be an empty column, or one that no manifest can set.
TEST(ResourceKinds, NameFieldsThatAreThere) {
  for (const ResourceKind& kind : ResourceKinds()) {
    const Descriptor* type = kind.prototype->GetDescriptor();
    EXPECT_NE(FieldOf(type, "name"), nullptr) << kind.kind;
    for (const terminal::Column& column : kind.columns)
      EXPECT_NE(FieldOf(type, column.path), nullptr) << kind.kind << " " << column.path;
    for (const std::string& field : kind.spec_fields) {
      EXPECT_NE(FieldOf(type, field), nullptr) << kind.kind << " " << field;
    }
    if (!kind.spec_field.empty()) {
      EXPECT_NE(FieldOf(type, kind.spec_field), nullptr) << kind.kind;
    }
    for (const std::string& name : kind.decimals) {
      const auto* field = google::protobuf::DescriptorPool::generated_pool()->FindFieldByName(name);
      ASSERT_NE(field, nullptr) << name;
      EXPECT_EQ(field->type(), FieldDescriptor::TYPE_STRING) << name;
    }
  }
}

TEST(ResourceKinds, CanDoWhatTheyAreUsedFor) {
  std::set<std::string> plurals;
  for (const ResourceKind& kind : ResourceKinds()) {
    EXPECT_TRUE(plurals.insert(kind.plural).second) << kind.plural;
    EXPECT_TRUE(kind.get || kind.list) << kind.kind << " can be found";
    if (kind.create) {
      EXPECT_TRUE(kind.get) << kind.kind << " is compared with what is there";
    }
    EXPECT_EQ(static_cast<bool>(kind.update), static_cast<bool>(kind.preview)) << kind.kind;
    if (!kind.lost.empty()) {
      EXPECT_TRUE(kind.remove) << kind.kind << " is asked about";
    }
    if (!kind.all_parents.empty()) {
      EXPECT_FALSE(kind.parent_pattern.empty()) << kind.kind;
    }
  }
}

TEST(FindKind, TakesKindAndPluralInAnyCase) {
  for (const char* text : {"Instance", "instances", "INSTANCES", "instance"}) {
    const auto kind = FindKind(text);
    ASSERT_TRUE(kind) << text;
    EXPECT_EQ((*kind)->kind, "Instance");
  }
  const auto unknown = FindKind("pods");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().reason, "UNKNOWN_KIND");
  EXPECT_EQ(unknown.error().message,
            "'pods' is none of tenants, projects, apiKeys, identityProviders, workloadRules, roles, members, "
            "sessions, billingAccounts, legalEntities, billingProfiles, eventSinks, budgets, publishers, "
            "models, versions, variants, listings, instances, quotes, nodes, workers, regions, regionVersions");
}

TEST(SpelledOut, TakesAnIdWhereNamesHaveNoParent) {
  EXPECT_EQ(SpelledOut("tenants/*", "ke"), "tenants/ke");
  EXPECT_EQ(SpelledOut("tenants/*", "tenants/ke"), "tenants/ke");
  EXPECT_EQ(SpelledOut("tenants/*", ""), "");
  EXPECT_EQ(SpelledOut("tenants/*/projects/*", "p"), "p");
  EXPECT_EQ(SpelledOut("tenants/*/billingAccount", "ke"), "ke");
  EXPECT_EQ(SpelledOut("", "ke"), "ke");
}

TEST(KindNames, TellsThoseThatAreChosen) {
  EXPECT_EQ(KindNames([](const ResourceKind& kind) { return static_cast<bool>(kind.remove); }),
            "apiKeys, identityProviders, workloadRules, roles, members, sessions, eventSinks, budgets, instances");
}

TEST(ParentOf, CutsTheLastCollection) {
  struct Row {
    const char* name;
    const char* parent;
  };
  for (const Row& row :
       {Row{"tenants/ke/projects/p", "tenants/ke"}, Row{"tenants/ke/projects/p/instances/i", "tenants/ke/projects/p"},
        Row{"tenants/ke", ""}, Row{"ke", ""}, Row{"", ""}}) {
    EXPECT_EQ(ParentOf(row.name), row.parent) << row.name;
  }
}

// Nobody reads messages as protobuf writes them.
TEST(ResourceKinds, ShowMembersInWords) {
  tenancy::v1::Member member;
  member.set_name("tenants/ke/members/desk");
  member.set_display_name("The desk");
  member.set_identity_provider("tenants/ke/identityProviders/staff");
  auto& email = *member.add_claims();
  email.set_claim("email");
  email.set_equals("amina@ke.example");
  auto& group = *member.add_claims();
  group.set_claim("groups");
  group.set_contains("desk");
  auto& at_tenant = *member.add_grants();
  at_tenant.set_resource("tenants/ke");
  at_tenant.add_roles(access::v1::ROLE_VIEWER);
  auto& at_project = *member.add_grants();
  at_project.set_resource("tenants/ke/projects/services");
  at_project.add_roles(access::v1::ROLE_DEVELOPER);
  at_project.add_roles(access::v1::ROLE_BILLING);
  at_project.add_custom_roles("tenants/ke/roles/desk-clerk");
  auto& custom_only = *member.add_grants();
  custom_only.set_resource("tenants/ke/projects/forms");
  custom_only.add_custom_roles("tenants/ke/roles/desk-clerk");
  EXPECT_EQ(terminal::MessageTable((*FindKind("members"))->columns, {&member}),
            "NAME                     DISPLAY NAME  WHO                                             "
            "ROLES                                                                  BY     DISABLED\n"
            "tenants/ke/members/desk  The desk      email = amina@ke.example, groups contains desk  "
            "viewer; developer,billing,desk-clerk at services; desk-clerk at forms  staff  no\n");
}

}  // namespace
}  // namespace allod::cli::kinds::registry_test
