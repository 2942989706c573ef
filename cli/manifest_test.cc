#include "cli/manifest.h"

#include <gtest/gtest.h>

#include "allod/catalog/v1/listing.pb.h"
#include "allod/scheduling/v1/instance.pb.h"

namespace allod::cli {
namespace {

const std::vector<ManifestKind>& Kinds() {
  static const std::vector<ManifestKind> kinds = {
      {"Listing", &catalog::v1::Listing::default_instance(), ""},
      {"Instance", &scheduling::v1::Instance::default_instance(), "spec"},
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
  EXPECT_EQ(Complaint(std::string(kInstance) + "  replicas: 3\n"), "m.yaml:8: spec.replicas: stands here twice");
}

TEST(ParseManifest, ListsTheValuesOfAnEnum) {
  const std::string text = "apiVersion: allod/v1\nkind: Instance\nmetadata: {name: n}\nspec: {isolationClass: none}\n";
  EXPECT_EQ(Complaint(text),
            "m.yaml:4: spec.isolationClass: 'none' is none of ISOLATION_CLASS_ISOLATED, ISOLATION_CLASS_POOLED, "
            "ISOLATION_CLASS_DEDICATED");
}

TEST(ParseManifest, RefusesUnknownKindsVersionsAndTopLevelFields) {
  EXPECT_EQ(Complaint("apiVersion: allod/v1\nkind: Instanze\nmetadata: {name: n}\n"),
            "m.yaml:1: kind: 'Instanze' is none of Listing, Instance");
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

TEST(ParseManifest, BoundsWhatAliasesCanGrowTo) {
  std::string text = "apiVersion: allod/v1\nkind: Listing\nmetadata: {name: n}\nspec:\n  prices: &a\n";
  for (int i = 0; i < 400; ++i) text += "    - &p" + std::to_string(i) + " {currencyCode: KES}\n";
  EXPECT_EQ(Complaint(text), "accepted");
  EXPECT_TRUE(Complaint(std::string(2 << 20, ' ')).ends_with("at most 1048576 are read"));
}

}  // namespace
}  // namespace allod::cli
