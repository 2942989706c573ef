#include "gateway/sign_in/page.h"

#include <fmt/format.h>

#include <string_view>

#include "gateway/http/error.h"
#include "services/common/markup.h"

namespace allod::gateway::sign_in {
namespace {

constexpr char kPage[] = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign-in failed</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }}
h1 {{ font-size: 1.4rem; }}
code {{ color: #595959; }}
@media (prefers-color-scheme: dark) {{ body {{ color: #eee; background: #161616; }} code {{ color: #aaa; }} a {{ color: #8ab4f8; }} }}
</style>
</head>
<body>
<main>
<h1>You are not signed in</h1>
<p>{}</p>
{}<p><code>{}</code></p>
</main>
</body>
</html>
)";

// Nothing is known of the browser, so that the form can only ask.
constexpr char kQuestion[] = R"(<form action="/auth/sign-in" method="get">
<p><label>Sign in to the tenant <input name="tenant" required maxlength="63" pattern="[a-z0-9\-]+" placeholder="ke"></label>
<button>Begin again</button></p>
</form>
)";

}  // namespace

http::Response FailurePage(const Error& error, const std::string& again) {
  const bool asks = again.empty() &&
                    (error.reason == "NO_ATTEMPT" || error.reason == "TENANT_NEEDED" || error.reason == "NO_SIGN_IN");
  const std::string link = asks            ? kQuestion
                           : again.empty() ? ""
                                           : fmt::format("<p><a href=\"{}\">Begin again</a></p>\n", InMarkup(again));
  http::Response out;
  out.status = http::ProblemStatusOf(error);
  out.content_type = "text/html; charset=utf-8";
  out.headers = {{"cache-control", "no-store"},
                 {"content-security-policy",
                  fmt::format("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action {}; "
                              "frame-ancestors 'none'",
                              // The provider that the answer leads to is part of the form's way, to some browsers.
                              asks ? "'self' https: http://127.0.0.1:* http://localhost:*" : "'none'")},
                 {"referrer-policy", "no-referrer"},
                 {"x-content-type-options", "nosniff"}};
  out.body = fmt::format(kPage, InMarkup(error.message), link, InMarkup(error.reason));
  return out;
}

}  // namespace allod::gateway::sign_in
