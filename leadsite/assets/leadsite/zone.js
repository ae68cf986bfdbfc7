// Tells the server the time zone of this browser, so that times on the next page are in it.
"use strict";

{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const told = `leadsite_zone=${zone}`;
  if (zone && !document.cookie.split("; ").includes(told)) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${told}; Path=/admin/; Max-Age=31536000; SameSite=Lax${secure}`;
  }
}
