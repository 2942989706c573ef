#include "services/catalog/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "services/common/country_code.h"
#include "services/common/text_check.h"

namespace allod::catalog {
namespace {

constexpr std::size_t kPricesMax = 200;
constexpr std::size_t kTermsCharsMax = 32'768;
constexpr std::int64_t kMillion = 1'000'000;
// What billing takes (kTokenPriceMax of its domain): a listing is refused before it is half made.
constexpr std::int64_t kPricePerMillionMax = 1'000'000'000;
constexpr std::int64_t kPricePerHourMax = 1'000'000'000;
constexpr std::int64_t kPicoPerUnit = 1'000'000'000'000;

auto RowKey(const TokenPrice& price) { return std::tie(price.currency_code, price.variant_id, price.isolation_class); }

}  // namespace

std::string PerMillion(Amount per_token) {
  // Within range: the price was read from this form.
  return Amount::FromPico(per_token.pico() * kMillion).ToString();
}

Result<TokenPrice> ReadTokenPrice(const std::string& field, std::string_view currency_code, std::string_view variant_id,
                                  std::string_view isolation_class, std::string_view prompt_per_million,
                                  std::string_view completion_per_million, std::string_view instance_per_hour) {
  ALLOD_CHECK_OK(MinorUnitDecimals(field + ".currency_code", currency_code));
  if (!variant_id.empty()) ALLOD_CHECK_OK(CheckId(field + ".variant_id", variant_id));
  if (!isolation_class.empty() && isolation_class != "pooled" && isolation_class != "isolated" &&
      isolation_class != "dedicated") {
    return InvalidArgument("INVALID_ISOLATION_CLASS",
                           fmt::format("{}.isolation_class: '{}' is not pooled, isolated or dedicated (or empty: every "
                                       "class)",
                                       field, isolation_class.substr(0, 32)));
  }
  ALLOD_TRY(const Amount prompt, TokenPriceFromMillion(field + ".prompt_price_per_million", prompt_per_million));
  ALLOD_TRY(const Amount completion,
            TokenPriceFromMillion(field + ".completion_price_per_million", completion_per_million));
  const Amount max = Amount::FromPico(Int128{kPricePerMillionMax} * kMillion);
  for (const Amount amount : {prompt, completion}) {
    if (amount <= max) continue;
    return InvalidArgument(
        "PRICE_OUT_OF_RANGE",
        fmt::format("{}: a price per million tokens must be from 0 to {} currency units", field, kPricePerMillionMax));
  }
  ALLOD_TRY(const Amount second, SecondPriceFromHour(field + ".instance_price_per_hour", instance_per_hour));
  if (second > Amount::FromPico(Int128{kPricePerHourMax} * kPicoPerUnit / 3600)) {
    return InvalidArgument(
        "PRICE_OUT_OF_RANGE",
        fmt::format("{}.instance_price_per_hour: must be from 0 to {} currency units", field, kPricePerHourMax));
  }
  return TokenPrice{
      std::string(currency_code), std::string(variant_id), prompt, completion, std::string(isolation_class), second};
}

Result<Listing> ValidListing(Listing listing) {
  ALLOD_CHECK_OK(CheckId("listing_id", listing.id));
  ALLOD_CHECK_OK(CheckDisplayName("listing.display_name", listing.display_name));
  ALLOD_CHECK_OK(CheckText("listing.license_terms", listing.license_terms, 1, kTermsCharsMax, /*multiline=*/true));
  for (std::size_t i = 0; i < listing.territory.size(); ++i) {
    ALLOD_CHECK_OK(CheckCountryCode(fmt::format("listing.territory[{}]", i), listing.territory[i]));
  }
  std::ranges::sort(listing.territory);
  if (const auto twice = std::ranges::adjacent_find(listing.territory); twice != listing.territory.end()) {
    return InvalidArgument("DUPLICATE_COUNTRY", fmt::format("listing.territory: '{}' stands there twice", *twice));
  }
  if (listing.prices.empty()) {
    return InvalidArgument("PRICE_REQUIRED", "listing.prices: give at least one row with currency and prices");
  }
  if (listing.prices.size() > kPricesMax) {
    return InvalidArgument("TOO_MANY_PRICES", fmt::format("listing.prices: {} rows; at most {} are allowed",
                                                          listing.prices.size(), kPricesMax));
  }
  std::ranges::sort(listing.prices, {}, RowKey);
  const auto twice = std::ranges::adjacent_find(listing.prices, {}, RowKey);
  if (twice != listing.prices.end()) {
    return InvalidArgument("DUPLICATE_PRICE",
                           fmt::format("listing.prices: two rows for currency {}, variant '{}' and class '{}'",
                                       twice->currency_code, twice->variant_id, twice->isolation_class));
  }
  return listing;
}

Status CheckPricedVariants(const Listing& listing, const std::set<std::string>& variants) {
  for (const TokenPrice& price : listing.prices) {
    if (price.variant_id.empty() || variants.contains(price.variant_id)) continue;
    return FailedPrecondition(
        "UNKNOWN_VARIANT",
        fmt::format("listing.prices: {} has no variant '{}'; create it first, or leave variant_id empty "
                    "to price every variant",
                    listing.version.name(), price.variant_id));
  }
  return {};
}

bool SameContent(const Listing& a, const Listing& b) {
  return a.id == b.id && a.version == b.version && a.display_name == b.display_name &&
         a.license_terms == b.license_terms && a.territory == b.territory && a.prices == b.prices;
}

std::unexpected<Error> ListingReplaced(std::string_view id) {
  return Fail(Code::kAborted, "LISTING_REPLACED",
              fmt::format("listings/{} was given other content by a concurrent request; read it and decide again", id));
}

}  // namespace allod::catalog
