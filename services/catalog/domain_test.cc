#include "services/catalog/domain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "services/catalog/job.h"
#include "services/catalog/listing.h"

namespace allod::catalog::domain_test {
namespace {

const std::string kSha(64, 'a');
const VersionKey kVersion{"habari", "1.0"};

TEST(CompressionOf, TakesBothSpellings) {
  EXPECT_EQ(CompressionOf("Q4_K_M").value(), "Q4_K_M");
  EXPECT_EQ(CompressionOf("q8_0").value(), "Q8_0");
  EXPECT_EQ(CompressionOf("iq4_nl").value(), "IQ4_NL");
  EXPECT_EQ(VariantIdOf("IQ4_NL"), "iq4_nl");
}

TEST(CompressionOf, RefusesOtherTypesAndListsThem) {
  for (const char* bad : {"", "Q9_X", "Q4_K_XL", "SOURCE", "source", "../x"}) {
    const auto type = CompressionOf(bad);
    ASSERT_FALSE(type) << bad;
    EXPECT_EQ(type.error().reason, "UNKNOWN_COMPRESSION");
    EXPECT_NE(type.error().message.find("Q8_0, Q6_K"), std::string::npos);
  }
}

TEST(CheckNewVersion, NeedsAnIdAndADigest) {
  EXPECT_TRUE(CheckNewVersion(kVersion, kSha));
  EXPECT_EQ(CheckNewVersion(kVersion, "abc").error().reason, "INVALID_DIGEST");
  EXPECT_EQ(CheckNewVersion({"habari", "../1"}, kSha).error().reason, "INVALID_ID");
}

CompressResult GoodResult() {
  return {kSha, 700, {1000, 4.8, 12, 11, 0.01, 0.97, 512, kSha, 55, 900, "n1", Time()}, {{"Q4_K", 30}}};
}

Job CompressJob() {
  Job job;
  job.kind = JobKind::kCompress;
  return job;
}

TEST(CheckResult, AcceptsWhatCanBeTrue) {
  EXPECT_TRUE(CheckResult(CompressJob(), GoodResult()));
  EXPECT_TRUE(CheckResult(CompressJob(), Error{Code::kInternal, "X", "y"}));
}

TEST(CheckResult, RefusesAResultOfTheOtherKind) {
  EXPECT_EQ(CheckResult(Job(), GoodResult()).error().reason, "INVALID_JOB_RESULT");
  EXPECT_EQ(CheckResult(CompressJob(), InspectResult()).error().reason, "INVALID_JOB_RESULT");
}

TEST(CheckResult, AnInspectionNamesWhatItMade) {
  const CompressResult good = GoodResult();
  InspectResult result{kSha, 700, {"llama", 1000, 512, 300, true, 64}, good.quality, good.tensor_types};
  EXPECT_TRUE(CheckResult(Job(), result));
  result.artifact_sha256 = "../x";
  EXPECT_EQ(CheckResult(Job(), result).error().reason, "INVALID_DIGEST");
  result.artifact_sha256 = kSha;
  result.artifact_bytes = 0;
  EXPECT_EQ(CheckResult(Job(), result).error().reason, "INVALID_JOB_RESULT");
}

TEST(MakeVersion, KeepsTheDigestOfTheUploadAndOffersTheCanonicalForm) {
  Job job;
  job.source_sha256 = std::string(64, 'b');
  const InspectResult result{kSha, 700, {}, {}, {}};
  EXPECT_EQ(MakeVersion(job, result, Time()).source_sha256, job.source_sha256);
  EXPECT_EQ(MakeSourceVariant(job, result, Time()).artifact_sha256, kSha);
}

TEST(CheckResult, RefusesNumbersThatCannotBe) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [](const CompressResult& result) { return !CheckResult(CompressJob(), result); };
  for (const double bad : {nan, std::numeric_limits<double>::infinity(), -0.1, 1.1}) {
    CompressResult result = GoodResult();
    result.quality.top1_agreement = bad;
    EXPECT_TRUE(refused(result)) << bad;
  }
  for (const double bad : {nan, 0.5, std::numeric_limits<double>::infinity()}) {
    CompressResult result = GoodResult();
    result.quality.perplexity = bad;
    EXPECT_TRUE(refused(result)) << bad;
  }
  CompressResult result = GoodResult();
  result.quality.mean_kl_divergence = -1;
  EXPECT_TRUE(refused(result));
  result = GoodResult();
  result.quality.evaluated_tokens = 0;
  EXPECT_TRUE(refused(result));
  result = GoodResult();
  result.tensor_types.clear();
  EXPECT_TRUE(refused(result));
  result = GoodResult();
  result.tensor_types["Q4_K"] = -1;
  EXPECT_TRUE(refused(result));
}

TEST(CheckProgress, IsAShareOfTheWhole) {
  EXPECT_TRUE(CheckProgress("measuring", 1));
  EXPECT_FALSE(CheckProgress("measuring", 1.01));
  EXPECT_FALSE(CheckProgress("measuring", std::nan("")));
  EXPECT_FALSE(CheckProgress(std::string(65, 'x'), 0));
}

TEST(BoundedError, MakesForeignTextFitForAnOperation) {
  const Error error = BoundedError({Code::kInvalidArgument, "INVALID_MODEL", "tensor '\x1b[31m\xff' is bad"});
  EXPECT_EQ(error.message, "tensor '?[31m?' is bad");
  EXPECT_EQ(BoundedError({Code::kInternal, "X", std::string(100'000, 'x')}).message.size(), 2048u);
  EXPECT_EQ(BoundedError({Code::kOk, "", ""}).code, Code::kUnknown);
}

TEST(ReadTokenPrice, KeepsPricesExactly) {
  const auto price = ReadTokenPrice("prices[0]", "KES", "q4_k_m", "", "20.5", "0.000001");
  ASSERT_TRUE(price) << price.error().message;
  EXPECT_EQ(PerMillion(price->prompt), "20.5");
  EXPECT_EQ(PerMillion(price->completion), "0.000001");
  EXPECT_EQ(price->completion.pico(), 1);
}

TEST(ReadTokenPrice, TakesTheTimeOfAnInstanceOrLeavesItFree) {
  EXPECT_EQ(ReadTokenPrice("prices[0]", "KES", "", "", "1", "1")->instance_second, Amount());
  EXPECT_EQ(PerHour(ReadTokenPrice("prices[0]", "KES", "", "", "1", "1", "18")->instance_second), "18");
  const auto bad = ReadTokenPrice("prices[0]", "KES", "", "", "1", "1", "1");
  EXPECT_EQ(bad.error().reason, "INVALID_PRICE");
  EXPECT_NE(bad.error().message.find("prices[0].instance_price_per_hour"), std::string::npos) << bad.error().message;
  EXPECT_EQ(ReadTokenPrice("prices[0]", "KES", "", "", "1", "1", "1000000000.8").error().reason, "PRICE_OUT_OF_RANGE");
}

TEST(ReadTokenPrice, NamesTheFieldAndTheLimit) {
  const auto price = ReadTokenPrice("prices[0]", "KES", "", "", "0.0000000000001", "1");
  ASSERT_FALSE(price);
  EXPECT_NE(price.error().message.find("prices[0].prompt_price_per_million"), std::string::npos)
      << price.error().message;
  EXPECT_NE(price.error().message.find("0.0000000000001"), std::string::npos) << price.error().message;
  EXPECT_NE(price.error().message.find('6'), std::string::npos) << price.error().message;
  EXPECT_FALSE(ReadTokenPrice("prices[0]", "KES", "", "", "1", "-1"));
  EXPECT_EQ(ReadTokenPrice("prices[0]", "KSH", "", "", "1", "1").error().reason, "UNKNOWN_CURRENCY");
  EXPECT_EQ(ReadTokenPrice("prices[0]", "KES", "Q4/../x", "", "1", "1").error().reason, "INVALID_ID");
}

Listing Offer() {
  Listing listing;
  listing.id = "habari-ke";
  listing.version = kVersion;
  listing.display_name = "Habari";
  listing.license_terms = "Apache-2.0";
  listing.territory = {"ug", "ke"};
  listing.prices = {{"UGX", "", Amount(), Amount()}, {"KES", "", Amount(), Amount()}};
  return listing;
}

TEST(ValidListing, PutsTerritoryAndPricesInOrder) {
  const auto listing = ValidListing(Offer());
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->territory, (std::vector<std::string>{"ke", "ug"}));
  EXPECT_EQ(listing->prices[0].currency_code, "KES");
}

TEST(ValidListing, RefusesWhatIsMissingOrDouble) {
  const auto reason = [](auto change) {
    Listing listing = Offer();
    change(listing);
    const auto valid = ValidListing(listing);
    return valid ? "" : valid.error().reason;
  };
  EXPECT_EQ(reason([](Listing& l) { l.license_terms = ""; }), "INVALID_TEXT");
  EXPECT_EQ(reason([](Listing& l) { l.territory = {"zz"}; }), "UNKNOWN_COUNTRY");
  EXPECT_EQ(reason([](Listing& l) { l.territory = {"ke", "ke"}; }), "DUPLICATE_COUNTRY");
  EXPECT_EQ(reason([](Listing& l) { l.prices.clear(); }), "PRICE_REQUIRED");
  EXPECT_EQ(reason([](Listing& l) { l.prices.push_back(l.prices[0]); }), "DUPLICATE_PRICE");
  EXPECT_EQ(reason([](Listing& l) { l.prices.resize(201); }), "TOO_MANY_PRICES");
  EXPECT_EQ(reason([](Listing& l) { l.territory.clear(); }), "");
}

}  // namespace
}  // namespace allod::catalog::domain_test
