#include "services/common/currencies.h"

namespace allod {
namespace {

// Active codes with a minor unit, three letters each. Precious metals, funds of accounts and test codes are left out:
// nobody is invoiced in them.
constexpr std::string_view kZero = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
constexpr std::string_view kTwo =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
    "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN "
    "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
constexpr std::string_view kThree = "BHD IQD JOD KWD LYD OMR TND";

bool Contains(std::string_view list, std::string_view code) {
  for (std::size_t at = 0; at + 3 <= list.size(); at += 4) {
    if (list.substr(at, 3) == code) return true;
  }
  return false;
}

}  // namespace

std::optional<int> CurrencyDecimals(std::string_view code) {
  if (Contains(kTwo, code)) return 2;
  if (Contains(kZero, code)) return 0;
  if (Contains(kThree, code)) return 3;
  return std::nullopt;
}

}  // namespace allod
