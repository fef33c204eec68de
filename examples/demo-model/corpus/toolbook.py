"""More everyday tools, one line each: names | description | parameters | requests.

A parameter is `kind:key/key/key`; `?` before it makes it optional. Kinds are those of `tools.familiar_value`.
"""

LINES = """
multiply,times,product,mul,multiply_numbers|Multiply two numbers|int:a/x/first,int2:b/y/second|What is {int} times {int2}?;Multiply {int} by {int2}.;{int} * {int2};{int} x {int2}?;How much is {int} times {int2}?
subtract,minus,difference|Subtract one number from another|int:a/x/first,int2:b/y/second|What is {int} minus {int2}?;Subtract {int2} from {int}.;{int} - {int2}
divide,quotient|Divide two numbers|int:a/dividend/x,int2:b/divisor/y|Divide {int} by {int2}.;What is {int} divided by {int2}?;{int} / {int2}
square_root,sqrt|Take the square root of a number|int:number/x/value|What is the square root of {int}?;sqrt of {int};Take the square root of {int}.
get_stock_price,stock_price,quote,get_share_price,ticker_lookup|Look up the price of a share|ticker:symbol/ticker/stock|What is the stock price of {ticker}?;How much is {ticker} worth?;Price of the {ticker} share?;share price of {ticker};Look up {ticker} on the stock market.;How does the {ticker} stock stand?
create_reminder,set_reminder,remind,add_reminder|Create a reminder|todo:text/message/task/what,clock:time/when/at|Remind me to {todo} at {clock}.;Remind me at {clock} to {todo}.;Set a reminder for {clock}: {todo};At {clock}, remind me to {todo}.;I must not forget to {todo} at {clock}.
set_alarm,alarm,wake_me|Set an alarm|clock:time/at/when|Wake me at {clock}.;Set an alarm for {clock}.;alarm at {clock};I have to get up at {clock}.
set_timer,start_timer,timer|Start a timer|quantity:minutes/duration/min|Set a timer for {quantity} minutes.;Start a timer of {quantity} minutes.;{quantity} minutes timer;Tell me when {quantity} minutes have passed.
lookup_patient,find_patient,get_patient,patient_record|Find a patient by number|order:patient_number/patient_id/number/id|Find the patient with number {order}.;Who is patient {order}?;Look up patient {order}.;Open the record of patient {order}.;patient {order}
send_invoice,email_invoice,mail_invoice|Send an invoice by e-mail|email:email/to/recipient,order:invoice_number/invoice/number,int:amount/total/sum|Send the invoice {order} over {int} euros to {email}.;Invoice {email} for {int}, number {order}.;Send invoice {order} for {int} to {email}.;Please mail the invoice {order} ({int} euros) to {email}.
get_news,news,headlines,latest_news|Get news about a topic|topic:topic/query/subject|What is the news about {topic}?;Any news on {topic}?;Show me headlines about {topic}.;latest news {topic}
play_music,play_song,play,music_play|Play music|thing:song/title/track/query|Play {thing}.;Play the song {thing}.;I want to hear {thing}.;Put on {thing}, please.
switch_light,set_light,light,toggle_light|Switch a light on or off|room:room/zone/where,onoff:state/mode/action|Turn the light {onoff} in the {room}.;Switch {onoff} the {room} light.;{room} light {onoff};Lights {onoff} in the {room}, please.
open_door,unlock_door,door_open|Open a door|room:door/room/which|Open the {room} door.;Unlock the door of the {room}.;Please open the door to the {room}.
calculate_tip,tip|Compute the tip for a bill|int:bill/total/amount,int2:percent/percentage/rate|What is a {int2} percent tip on {int}?;Tip of {int2}% for a bill of {int}.;Calculate the tip: bill {int}, {int2} percent.
define_word,dictionary,define,get_definition|Define a word|noun:word/term|Define {noun}.;What does the word {noun} mean?;Look up {noun} in the dictionary.;definition of {noun}
spell_check,check_spelling|Check the spelling of a text|say:text/input|Check the spelling: {say};Is this spelled correctly? {say};Spell check this: {say}
get_distance,distance,distance_between|Get the distance between two cities|city:from/origin/a/start,city2:to/destination/b/end|How far is it from {city} to {city2}?;Distance between {city} and {city2}?;How many kilometres from {city} to {city2}?
get_directions,directions,route,navigate|Get directions between two places|city:from/origin/start,city2:to/destination/end|How do I get from {city} to {city2}?;Directions from {city} to {city2}.;Show me the way from {city} to {city2}.;Navigate from {city} to {city2}
find_restaurants,restaurant_search,search_restaurants|Find restaurants in a city|city:city/location/where,?food:cuisine/type/kind|Find a restaurant in {city}.;Where can I eat in {city}?;Restaurants in {city}?;I am hungry and I am in {city}.
book_hotel,hotel_booking,reserve_hotel,find_hotel|Book a hotel|city:city/location/destination,date:date/check_in/from,quantity:nights/number_of_nights/stay|Book a hotel in {city} on {date} for {quantity} nights.;I need a room in {city} from {date}, {quantity} nights.;Reserve a hotel in {city}: {date}, {quantity} nights.
book_table,reserve_table,restaurant_booking|Book a table|thing:restaurant/place/name,quantity:guests/people/seats,clock:time/at|Book a table at {thing} for {quantity} people at {clock}.;Table for {quantity} at {thing}, {clock}.;Reserve a table at {thing}: {quantity} guests, {clock}.
delete_file,rm,remove_file|Delete a file|path:path/file/filename|Delete {path}.;Remove the file {path}.;Please delete the file {path};rm {path}
write_file,save_file,create_file,Write|Write text to a file|path:path/file_path/filename,say:content/text/data|Write "{say}" to {path}.;Save the text "{say}" in {path}.;Create the file {path} with the content: {say}
run_command,bash,shell,execute,run_shell,Bash|Run a shell command|cmd:command/cmd|Run {cmd}.;Execute the command {cmd};Run the shell command "{cmd}".;Can you run {cmd}?;$ {cmd}
grep,search_files,find_in_files,Grep|Search files for a text|code:pattern/query/text,path:path/folder/directory|Search for {code} in {path}.;Find {code} in the files of {path}.;grep {code} {path}
query_database,run_sql,sql,db_query|Run a query on the database|sql:query/sql/statement|Run the query {sql};Execute this SQL: {sql};{sql}
get_balance,account_balance,check_balance,balance|Get the balance of an account|iban:account/iban/account_number|What is the balance of {iban}?;How much money is on {iban}?;Show the balance of the account {iban}.;balance {iban}
list_tasks,get_tasks,todo_list,tasks|List the tasks of a person|person:user/person/owner/name|What are the tasks of {person}?;List the tasks of {person}.;What does {person} have to do?;Show {person}'s tasks.
add_to_cart,cart_add,add_item|Put a product into the cart|product:product/item/article,quantity:quantity/count/amount|Put {quantity} {product} into my cart.;Add {quantity} of the {product} to the cart.;I want {quantity} times the {product}.
cancel_order,order_cancel,cancelOrder|Cancel an order|order:order_id/order/id/number|Cancel order {order}.;I want to cancel my order {order}.;Please cancel {order}.;Cancel the order with the number {order}.;Annule la commande {order}.;ألغ الطلب {order}.
refund_order,refund,issue_refund|Refund an order|order:order_id/order/id,int:amount/sum/value|Refund {int} for order {order}.;Give the money back for {order}: {int}.;Issue a refund of {int} for {order}.
create_ticket,open_ticket,new_ticket,report_issue|Open a support ticket|topic:title/subject/summary,prio:priority/severity/level|Open a ticket about {topic} with {prio} priority.;Create a {prio} priority ticket for {topic}.;Report {topic} as a problem, priority {prio}.
close_ticket,resolve_ticket|Close a support ticket|order:ticket_id/id/ticket|Close ticket {order}.;The ticket {order} is solved, close it.;Please close {order}.
get_user_info,user_info,whois,get_profile|Get the profile of a user|email:email/user/account|Who is {email}?;Show the profile of {email}.;Get information about the user {email}.;user info {email}
create_user,add_user,register_user,sign_up|Create a user account|person:name/full_name/user,email:email/mail/address|Create an account for {person} with {email}.;Add the user {person} ({email}).;Register {person}, e-mail {email}.;New user: {person}, {email}
delete_user,remove_user|Delete a user account|email:email/user/account|Delete the user {email}.;Remove the account of {email}.;Please delete {email}.
call_phone,phone_call,dial,call|Call a telephone number|phone:number/phone/to|Call {phone}.;Dial {phone}.;Please phone {phone}.;Make a call to {phone}.
share_document,share_file,share|Share a file with somebody|path:file/document/path,email:with/email/recipient|Share {path} with {email}.;Give {email} access to {path}.;Share the file {path} with {email}, please.
generate_password,random_password,make_password|Generate a password|quantity:length/size/characters|Generate a password with {quantity} characters.;Make me a password of length {quantity}.;I need a password, {quantity} characters.
generate_image,create_image,draw,text_to_image|Generate an image|thing:prompt/description/text|Draw {thing}.;Generate an image of {thing}.;Make a picture of {thing}.;I want an image that shows {thing}.
summarize_url,summarize_page,read_url|Summarize a web page|url:url/link/page|Summarize {url}.;What does {url} say?;Give me a summary of {url}.;tl;dr {url}
get_exchange_rate,exchange_rate,fx_rate|Get the exchange rate of two currencies|cur:base/from/source,cur2:target/to/quote|What is the exchange rate from {cur} to {cur2}?;{cur} to {cur2} rate?;How many {cur2} for one {cur}?
convert_units,unit_convert,convert|Convert a measurement|int:value/amount/number,unit:from_unit/from/unit,unit2:to_unit/to/target|Convert {int} {unit} to {unit2}.;How many {unit2} are {int} {unit}?;{int} {unit} in {unit2}
get_holidays,holidays,public_holidays|List the public holidays of a country|country:country/nation,year:year|What are the holidays in {country} in {year}?;Public holidays of {country}, {year}.;List the holidays for {country} {year}.
get_population,population|Get the population of a country|country:country/name/nation|How many people live in {country}?;What is the population of {country}?;population of {country}
get_capital,capital_of,capital_lookup|Get the capital of a country|country:country/nation/name|What is the capital of {country}?;Look up the capital of {country}.;capital of {country}
track_flight,flight_status|Get the status of a flight|order:flight/flight_number/number|Where is flight {order}?;Is flight {order} on time?;Status of flight {order}.;Track {order}.
track_parcel,parcel_status,track_shipment|Get the status of a parcel|order:tracking_number/parcel/number/id|Where is my parcel {order}?;Track the parcel {order}.;Has parcel {order} arrived?;parcel {order}
get_recipe,recipe,find_recipe|Find a recipe|food:dish/food/name|How do I cook {food}?;Find a recipe for {food}.;I want to make {food}.;recipe {food}
order_food,order_meal,food_order|Order food|food:dish/meal/item,quantity:quantity/count/portions|Order {quantity} {food}.;I would like {quantity} portions of {food}.;Get me {quantity} {food}, please.
check_availability,is_available,availability|Check whether a product is in stock|product:product/item/sku|Is the {product} in stock?;Do you have a {product}?;Check if the {product} is available.;{product} available?
get_price,price_of,product_price|Get the price of a product|product:product/item/article|How much is the {product}?;What does the {product} cost?;Price of the {product}?;What is the price of a {product}?
update_address,change_address,set_address|Change the address of a customer|person:customer/name/user,address:address/new_address/street|Change the address of {person} to {address}.;{person} moved to {address}.;New address for {person}: {address}
update_phone,change_phone,set_phone_number|Change a customer's phone number|person:customer/name/user,phone:phone/number/new_number|Change the phone number of {person} to {phone}.;{person} has a new number: {phone}.;Set {person}'s phone to {phone}.
verify_iban,check_iban,validate_iban|Check an IBAN|iban:iban/account/value|Is {iban} valid?;Check the IBAN {iban}.;Validate {iban}.
block_card,freeze_card,lock_card|Block a payment card|card:card/card_number/number|Block the card {card}.;My card {card} was stolen.;Freeze {card}, please.;I lost my card {card}.
get_server_status,server_status,ping,check_host|Check whether a server is up|ip:host/ip/address/server|Is {ip} up?;Check the server {ip}.;Ping {ip}.;Status of {ip}?
restart_server,reboot,restart_service|Restart a server|ip:host/server/ip|Restart {ip}.;Reboot the server {ip}.;Please restart the host {ip}.
add_note,take_note,save_note,create_note|Save a note|say:text/note/content|Take a note: {say};Note this: {say};Write down: {say};Save a note saying "{say}"
add_contact,save_contact,create_contact|Save a contact|person:name/full_name/contact,phone:phone/number/mobile|Save {person} with the number {phone}.;Add the contact {person}, {phone}.;New contact: {person} {phone}
find_contact,search_contacts,get_phone_number|Find the number of a person|person:name/contact/person|What is the number of {person}?;Find the contact {person}.;Give me {person}'s number.
get_sunset,sunset_time,sunset|Get the time of sunset|city:city/location/place|When is sunset in {city}?;At what time does the sun set in {city}?;sunset {city}
get_air_quality,air_quality,aqi|Get the air quality of a city|city:city/location/place|How is the air in {city}?;What is the air quality in {city}?;air quality {city}
get_traffic,traffic,traffic_info|Get the traffic in a city|city:city/location/area|How is the traffic in {city}?;Is there traffic in {city}?;traffic {city}
detect_language,language_of,identify_language|Detect the language of a text|say:text/input/content|Which language is this: {say};Detect the language: {say};What language is "{say}"?
count_words,word_count|Count the words of a text|say:text/input/content|How many words are in "{say}"?;Count the words: {say};Word count of: {say}
schedule_call,plan_call,book_call|Schedule a call|person:with/person/contact,date:date/day/when|Schedule a call with {person} on {date}.;Plan a call with {person}, {date}.;Book a call with {person} for {date}.
invite_user,send_invitation,invite|Invite somebody by e-mail|email:email/address/guest|Invite {email}.;Send an invitation to {email}.;Please invite {email} to the team.
ask_human,escalate,handoff|Hand the conversation to a person|topic:reason/topic/subject|I want to talk to a person about {topic}.;Connect me to a human about {topic}.;Please escalate this: {topic}
list_models,models,get_models|List the available models||Which models are available?;List the models.;What models are there?;Show all models
get_location,where_am_i,current_location|Get the current location||Where am I?;What is my location?;In which city am I?
take_screenshot,screenshot|Take a screenshot||Take a screenshot.;Make a screenshot of the screen.;screenshot please
get_status,system_status,health|Get the status of the system||What is the status of the system?;Is everything running?;system status;How is the system?
""".strip()


def entries():
    """List of dicts in the shape of `tools.FAMILIAR`, without result and answer."""
    out = []
    for line in LINES.splitlines():
        names, about, params, asks = line.split("|")
        required, optional = [], []
        for p in filter(None, params.split(",")):
            kind, _, keys = p.lstrip("?").partition(":")
            keys = tuple((keys or kind).split("/"))
            (optional if p.startswith("?") else required).append((kind, keys))
        out.append({"names": tuple(names.split(",")), "about": about, "params": required, "optional": [], "maybe": optional, "ask": tuple(asks.split(";"))})
    return out
