#include "tests/integration/injection_texts.h"

namespace allod {

// clang-format off
const std::vector<std::string>& HostileTexts() {
  static const std::vector<std::string> texts = {
      "'", "\"", "\\", "`", "''", "\\'", "$1", "$$", "$x$", "%s%n", "%27", ";", "--", "/*", "*/", "?", ":1", "{}",
      "{1}", "E'\\x27'", "U&'\\0027'", "\xca\xbc", "\xef\xbc\x87", "' OR '1'='1", "' OR 1=1 --", "') OR ('1'='1",
      "1; SELECT pg_sleep(9)", "'; DROP TABLE tenancy.tenants; --", "'; TRUNCATE billing.transfers; --",
      "' UNION SELECT kid, digest FROM tenancy.api_keys --", "'||(SELECT current_user)||'",
      "x'; SET allod.tenant = '00000000-0000-0000-0000-000000000000'; --",
      "'; SELECT set_config('allod.tenant', 'x', false); --", "$$; COPY (SELECT 1) TO PROGRAM 'id'; $$",
      "'; ALTER ROLE allod_tenancy SUPERUSER; --", "'; RESET ALL; COMMIT; --", "a\", \"b", "{a,b}", "{\"a\",NULL}",
      "NULL", "\\N", "\\copy", "a\\\",b", "(1,2)", "[1,2]", "1e9999", "-1", "9223372036854775808", "0x41",
      "'1'::int", "now()", "current_user", "DEFAULT", "../../etc/passwd", "..%2f..", "%2e%2e/", "a/b/c",
      "tenants/ke' --", "tenants/ke/projects/nyumba'; --", "tenants/-", "tenants/*", "tenants/%", "tenants/_",
      "\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "return redis.call('FLUSHALL')", "$(id)", "`id`", "| id",
      "${jndi:ldap://x}", "<script>", "{{7*7}}", "\t", "\x01", "\x7f", "\xc2\x85", "\xe2\x80\xae",
      "01890000-0000-7000-8000-000000000001' --", "01890000-0000-7000-8000-000000000001",
      "ald_aaaaaaaaaaaa_' OR 1=1 --", "q", "models/starter' --", "regions/ke-1'; --",
  };
  return texts;
}

const std::vector<std::string>& HarmlessTexts() {
  static const std::vector<std::string> texts = {
      "", "plain", "a-b", "two words", "Plain", "1", "7", "-1", "0", "x.y", "a_b", "a/b", "tenants/ke",
      "tenants/nobody", "tenants/-", "tenants/ke/projects/nyumba", "tenants/ke/projects/-",
      "tenants/ke/projects/nobody/instances/x", "tenants/ke/projects/nyumba/instances/jamii",
      "tenants/ke/identityProviders/pipelines", "models/starter", "models/nobody", "models/starter/versions/v1",
      "models/starter/versions/v1/variants/q4_k_m", "listings/starter", "listings/nobody", "regions/ke-1",
      "regions/nowhere", "nodes/n", "priceBooks/01890000-0000-7000-8000-000000000001", "publishers/allod",
      "01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-0000000000fe", "KES", "ke",
      "https://issuer.example", "192.0.2.0/24", "tenancy.", "a=b", "caf\xc3\xa9", std::string(300, 'a'),
      // Again: an id that was used before is looked up.
      "01890000-0000-7000-8000-000000000001",
  };
  return texts;
}
// clang-format on

}  // namespace allod
