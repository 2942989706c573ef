#include "services/common/country_code.h"

#include <fmt/format.h>

#include <string>

namespace allod {
namespace {

// The 249 officially assigned codes.
constexpr std::string_view kCodes =
    "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz "
    "ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo fr "
    "ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it "
    "je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo "
    "mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py "
    "qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to "
    "tr tt tv tw tz ua ug um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw";
static_assert((kCodes.size() + 1) / 3 == 249);
constexpr std::size_t kShownMax = 16;

}  // namespace

Status CheckCountryCode(std::string_view field, std::string_view code) {
  if (code.size() == 2 && code.find(' ') == std::string_view::npos) {
    for (std::size_t at = 0; at < kCodes.size(); at += 3) {
      if (kCodes.substr(at, 2) == code) return {};
    }
  }
  const std::string shown = code.size() <= kShownMax ? fmt::format("'{}'", code) : "this";
  return InvalidArgument(
      "UNKNOWN_COUNTRY",
      fmt::format("{}: {} is not an ISO 3166-1 alpha-2 country code in lower case, such as 'ke'", field, shown));
}

}  // namespace allod
