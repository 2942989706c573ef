#include "cli/apply/manifest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "allod/catalog/v1/listing.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "allod/tenancy/v1/member.pb.h"
#include "allod/tenancy/v1/role.pb.h"
#include "allod/tenancy/v1/workload_rule.pb.h"
#include "cli/apply/apply.h"
#include "tests/support/pg_fixture.h"

namespace allod::cli::apply::manifest_test {
namespace {

const std::vector<ManifestKind>& Kinds() {
  static const std::vector<ManifestKind> kinds = {
      {"Listing",
       &catalog::v1::Listing::default_instance(),
       "",
       {"version", "display_name", "license_terms", "territory", "prices"}},
      {"Instance", &scheduling::v1::Instance::default_instance(), "spec", {"spec"}},
      {"Member",
       &tenancy::v1::Member::default_instance(),
       "",
       {"display_name", "identity_provider", "claims", "grants", "disabled"}},
  };
  return kinds;
}

std::string Complaint(const std::string& text) {
  const auto parsed = ParseManifest("m.yaml", text, Kinds());
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
  EXPECT_EQ(parsed.error().reason, "INVALID_MANIFEST");
  return parsed.error().message;
}

constexpr char kInstance[] = R"(apiVersion: allod/v1
kind: Instance
metadata: {name: tenants/ke/projects/p/instances/i}
spec:
  listing: listings/l
  isolationClass: isolated
  replicas: 2
)";

TEST(ParseManifest, ReadsClassSleepAndPricesByClass) {
  const auto parsed = ParseManifest("m.yaml", R"(apiVersion: allod/v1
kind: Instance
metadata: {name: tenants/ke/projects/p/instances/i}
spec: {listing: listings/l, isolationClass: pooled, sleepAfterSeconds: 300}
---
apiVersion: allod/v1
kind: Listing
metadata: {name: listings/l}
spec:
  prices:
    - {currencyCode: KES, promptPricePerMillion: "5", completionPricePerMillion: "15", isolationClass: pooled}
)",
                                    Kinds());
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto& instance = dynamic_cast<const scheduling::v1::Instance&>(*(*parsed)[0].resource);
  EXPECT_EQ(instance.spec().isolation_class(), scheduling::v1::ISOLATION_CLASS_POOLED);
  EXPECT_EQ(instance.spec().sleep_after_seconds(), 300);
  const auto& listing = dynamic_cast<const catalog::v1::Listing&>(*(*parsed)[1].resource);
  EXPECT_EQ(listing.prices(0).isolation_class(), "pooled");
}

TEST(ParseManifest, ReadsWhoAMemberIsAndItsRolesAtEachPlace) {
  const auto parsed = ParseManifest("m.yaml", R"(apiVersion: allod/v1
kind: Member
metadata: {name: tenants/ke/members/desk}
spec:
  claims: [{claim: groups, contains: service-desk}]
  grants:
    - {resource: tenants/ke, roles: [viewer, billing]}
    - {resource: tenants/ke/projects/services, roles: [admin]}
)",
                                    Kinds());
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto& member = dynamic_cast<const tenancy::v1::Member&>(*(*parsed)[0].resource);
  EXPECT_EQ(member.claims(0).contains(), "service-desk");
  ASSERT_EQ(member.grants_size(), 2);
  EXPECT_EQ(member.grants(0).roles(1), access::v1::ROLE_BILLING);
  EXPECT_EQ(member.grants(1).resource(), "tenants/ke/projects/services");
}

TEST(ParseManifest, ReadsARoleAndWhoHasIt) {
  const auto parsed = ParseManifest("m.yaml", R"(apiVersion: allod/v1
kind: Role
metadata: {name: tenants/ke/roles/on-call}
spec:
  displayName: On call
  permissions: [scheduling.*.get, "*.auditEntries.read"]
---
apiVersion: allod/v1
kind: WorkloadRule
metadata: {name: tenants/ke/projects/services/workloadRules/deploy}
spec:
  customRoles: [tenants/ke/roles/on-call]
)",
                                    ManifestKinds());
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto& role = dynamic_cast<const tenancy::v1::Role&>(*(*parsed)[0].resource);
  ASSERT_EQ(role.permissions_size(), 2);
  EXPECT_EQ(role.permissions(1), "*.auditEntries.read");
  const auto& rule = dynamic_cast<const tenancy::v1::WorkloadRule&>(*(*parsed)[1].resource);
  EXPECT_EQ(rule.custom_roles(0), "tenants/ke/roles/on-call");
}

// The installation takes them, too, which the end-to-end tests show of some.
TEST(ManifestKinds, ReadEveryExample) {
  int examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SourceDir() / "deploy/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    ++examples;
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const auto parsed = ParseManifest(entry.path().filename(), text, ManifestKinds());
    EXPECT_TRUE(parsed) << parsed.error().message;
  }
  EXPECT_GE(examples, 3);
}

TEST(ParseManifest, FillsTheMessageOfEachDocument) {
  const auto parsed = ParseManifest("m.yaml", std::string(kInstance) + R"(---
apiVersion: allod/v1
kind: Listing
metadata: {name: listings/l}
spec:
  territory: [ke, ug]
  prices:
    - {currencyCode: KES, promptPricePerMillion: 12.50, completionPricePerMillion: "37.5"}
)",
                                    Kinds());
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 2U);
  const auto& instance = dynamic_cast<const scheduling::v1::Instance&>(*(*parsed)[0].resource);
  EXPECT_EQ(instance.name(), "tenants/ke/projects/p/instances/i");
  EXPECT_EQ(instance.spec().replicas(), 2);
  EXPECT_EQ(instance.spec().isolation_class(), scheduling::v1::ISOLATION_CLASS_ISOLATED);
  const auto& listing = dynamic_cast<const catalog::v1::Listing&>(*(*parsed)[1].resource);
  EXPECT_EQ((*parsed)[1].where, "m.yaml:9");
  EXPECT_EQ(listing.territory_size(), 2);
  // A price keeps its digits: it never becomes a floating-point number.
  EXPECT_EQ(listing.prices(0).prompt_price_per_million(), "12.50");
}

TEST(ParseManifest, NamesTheLineAndTheKnownFieldsOfAnUnknownField) {
  const std::string complaint = Complaint(std::string(kInstance) + "  regoin: regions/ke-1\n");
  EXPECT_TRUE(complaint.starts_with("m.yaml:8: spec.regoin: unknown field; known are listing, variant, region"))
      << complaint;
}

TEST(ParseManifest, RefusesWhatIsNotOfTheFieldsType) {
  EXPECT_EQ(Complaint(std::string(kInstance) + "  contextTokens: many\n"),
            "m.yaml:8: spec.contextTokens: 'many' is not a whole number of the right size");
  EXPECT_EQ(Complaint(std::string(kInstance) + "  contextTokens: 99999999999\n"),
            "m.yaml:8: spec.contextTokens: '99999999999' is not a whole number of the right size");
  EXPECT_EQ(Complaint(std::string(kInstance) + "  region: [a, b]\n"),
            "m.yaml:8: spec.region: a single value is expected here");
  EXPECT_EQ(Complaint(std::string(kInstance) + "  replicas: 3\n"),
            "m.yaml:8: spec.replicas: stands here twice, first in line 7");
}

TEST(ParseManifest, ListsTheValuesOfAnEnum) {
  const std::string text = "apiVersion: allod/v1\nkind: Instance\nmetadata: {name: n}\nspec: {isolationClass: none}\n";
  EXPECT_EQ(Complaint(text),
            "m.yaml:4: spec.isolationClass: 'none' is none of ISOLATION_CLASS_ISOLATED, ISOLATION_CLASS_POOLED, "
            "ISOLATION_CLASS_DEDICATED");
}

TEST(ParseManifest, RefusesUnknownKindsVersionsAndTopLevelFields) {
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Instanze\nmetadata: {name: n}\n"),
            "m.yaml:1: kind: 'Instanze' is none of Listing, Instance, Member");
  EXPECT_EQ(Complaint("apiVersion: v2\nkind: Instance\nmetadata: {name: n}\n"),
            "m.yaml:1: apiVersion: allod/v1 is expected");
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Instance\nmetadata: {name: n}\nspce: {}\n"),
            "m.yaml:4: spce: unknown field; known are apiVersion, kind, metadata, spec");
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Instance\nmetadata: {}\n"), "m.yaml:3: metadata.name is required");
  EXPECT_EQ(Complaint(""), "m.yaml: no document in it");
}

TEST(ParseManifest, ReportsBrokenYamlWithItsLine) {
  EXPECT_TRUE(Complaint("apiVersion: allod/v1\nkind: [\n").starts_with("m.yaml:"));
}

TEST(ParseManifest, ReadsNumbersAsYaml12Does) {
  const auto replicas = [](const std::string& text) {
    const auto parsed = ParseManifest(
        "m.yaml",
        "apiVersion: allod/v1\nkind: Instance\nmetadata: {name: n}\nspec: {sleepAfterSeconds: " + text + "}\n",
        Kinds());
    return parsed ? dynamic_cast<const scheduling::v1::Instance&>(*(*parsed)[0].resource).spec().sleep_after_seconds()
                  : -1;
  };
  EXPECT_EQ(replicas("0600"), 600);
  EXPECT_EQ(replicas("09"), 9);
  EXPECT_EQ(replicas("0"), 0);
  EXPECT_EQ(replicas("+7"), 7);
  EXPECT_EQ(replicas("0o17"), 15);
  EXPECT_EQ(replicas("0x1F"), 31);
  EXPECT_EQ(replicas("2147483647"), 2147483647);
  for (const char* wrong : {"2147483648", "0x", "-0x1", "1e3", "1_000", "12.0", "''", "yes", "18446744073709551616"}) {
    EXPECT_EQ(replicas(wrong), -1) << wrong;
  }
  EXPECT_EQ(replicas("-5"), -5) << "the server says what a negative number means";
}

TEST(ParseManifest, TellsWhichFieldsWereGiven) {
  const auto parsed = ParseManifest("m.yaml", std::string(kInstance) + "  sleepAfterSeconds: 0\n", Kinds());
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ((*parsed)[0].given,
            (std::vector<std::string>{"listing", "isolation_class", "replicas", "sleep_after_seconds"}));
}

TEST(ParseManifest, TellsAGroupThatIsTakenAwayFromOneThatIsNotNamed) {
  const std::string head = "apiVersion: allod/v1\nkind: Tenant\nmetadata: {name: tenants/ke}\nspec:\n  weight: 2\n";
  const auto given = [&](const std::string& more) {
    auto parsed = ParseManifest("m.yaml", head + more, ManifestKinds());
    EXPECT_TRUE(parsed) << parsed.error().message;
    return std::move(parsed->front());
  };
  const auto has_quota = [](const Document& document) {
    const auto* field = document.resource->GetDescriptor()->FindFieldByName("quota");
    return document.resource->GetReflection()->HasField(*document.resource, field);
  };
  const std::vector<std::string> named = {"weight", "quota"};
  EXPECT_EQ(given("").given, std::vector<std::string>{"weight"});
  for (const char* none : {"  quota: null\n", "  quota: ~\n", "  quota:\n"}) {
    EXPECT_EQ(given(none).given, named) << none;
    EXPECT_FALSE(has_quota(given(none))) << none;
  }
  EXPECT_EQ(given("  quota: {}\n").given, named);
  EXPECT_TRUE(has_quota(given("  quota: {}\n")));
  EXPECT_TRUE(has_quota(given("  quota: {instances: 3}\n")));
  const auto wrong = ParseManifest("m.yaml", head + "  displayName: null\n", ManifestKinds());
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("a single value is expected"), std::string::npos) << wrong.error().message;
}

TEST(ParseManifest, RefusesKeysThatStandTwiceWhereverTheyAre) {
  const std::string rest = "metadata: {name: n}\n";
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Instance\n" + rest + "spec: {replicas: 1}\nspec: {replicas: 2}\n"),
            "m.yaml:5: spec: stands here twice, first in line 4");
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Instance\nkind: Listing\n" + rest),
            "m.yaml:3: kind: stands here twice, first in line 2");
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Instance\nmetadata: {name: a, name: b}\n"),
            "m.yaml:3: metadata.name: stands here twice, first in line 3");
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Listing\n" + rest +
                      "spec:\n  prices:\n    - {currencyCode: KES, currencyCode: UGX}\n"),
            "m.yaml:6: spec.prices[0].currencyCode: stands here twice, first in line 6");
  EXPECT_EQ(Complaint(std::string(kInstance) + "  contextTokens: 1\n  context_tokens: 2\n"),
            "m.yaml:9: spec.context_tokens: stands here twice, first in line 8");
  EXPECT_EQ(Complaint(std::string(kInstance) + "  ? [a]\n  : b\n"), "m.yaml:8: spec: a key must be a single word");
}

TEST(ParseManifest, RefusesTheSameResourceTwice) {
  EXPECT_EQ(Complaint(std::string(kInstance) + "---\n" + kInstance),
            "m.yaml:9: Instance tenants/ke/projects/p/instances/i stands here twice, first at m.yaml:1");
}

TEST(ParseManifest, RefusesWhatOnlyThePlatformSets) {
  EXPECT_EQ(
      Complaint("apiVersion: allod/v1\nkind: Listing\nmetadata: {name: listings/l}\nspec:\n  state: withdrawn\n"),
      "m.yaml:5: spec.state: not for a manifest to set; it may set version, displayName, licenseTerms, territory, "
      "prices");
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Listing\nmetadata: {name: listings/l}\nspec: {name: listings/m}\n"),
            "m.yaml:4: spec.name: not for a manifest to set; it may set version, displayName, licenseTerms, territory, "
            "prices");
}

TEST(ParseManifest, RefusesWhatIsNoTextWithLineAndByte) {
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Listing\nmetadata: {name: n}\nspec: {displayName: caf\xe9}\n"),
            "m.yaml:4: byte 24 of the line is not valid UTF-8; a manifest is UTF-8 text");
  EXPECT_EQ(Complaint("\xff\xfe"), "m.yaml:1: byte 1 of the line is not valid UTF-8; a manifest is UTF-8 text");
  EXPECT_EQ(Complaint("a: b\nc: \x07\n"),
            "m.yaml:2: byte 4 of the line is the control character U+0007; a manifest is UTF-8 text");
}

TEST(ParseManifest, BoundsWhatAliasesCanGrowTo) {
  std::string text = "apiVersion: allod/v1\nkind: Listing\nmetadata: {name: n}\nspec:\n  prices: &a\n";
  for (int i = 0; i < 400; ++i) text += "    - &p" + std::to_string(i) + " {currencyCode: KES}\n";
  EXPECT_EQ(Complaint(text), "accepted");
  EXPECT_TRUE(Complaint(std::string(2 << 20, ' ')).ends_with("at most 1048576 are read"));
}

}  // namespace
}  // namespace allod::cli::apply::manifest_test
