"""Word lists. Invented or common knowledge; no list is copied from a data set."""

FIRST = """Ahmed Amina Youssef Leila Karim Salma Omar Nadia Hassan Fatima Tarek Rania Sami Houda Bilal Sonia Mehdi Ines
Walid Yasmine Khaled Mariam Nabil Dalia Adel Rim Faouzi Hela Anis Olfa Slim Emna Moez Asma Hatem Wafa Ridha Latifa Zied
Ghada Imed Samira Lotfi Amel James Emma Oliver Sophia Liam Charlotte Noah Amelia Lucas Mia Ethan Ava Henry Isla Jack Grace
Leo Ruby Oscar Alice Arthur Clara Theo Julia George Rose Hugo Eva Felix Nora Adam Lucy Simon Helen Peter Diana Martin Anna
Victor Irene Paul Laura Marc Camille Julien Chloe Antoine Manon Pierre Elise Mathieu Juliette Nicolas Margot Olivier Brigitte
Thierry Sylvie Laurent Nathalie Benoit Aurelie Damien Celine Giulia Marco Paolo Elena Luca Chiara Sofia Diego Carmen Pablo
Lucia Javier Ana Miguel Ingrid Lars Freya Erik Astrid Sven Maja Nils Katarina Jan Ewa Piotr Agnieszka Tomas Jana Ivan Olga
Dmitri Natasha Yuki Kenji Hana Haruto Mei Wei Lin Chen Priya Arjun Anika Rohan Deepa Vikram Kofi Ama Kwame Zola Thabo Naledi
Chidi Ngozi Tunde Abena Fatou Moussa Aissata Mamadou Maria Joao Beatriz Rafael Luis Gabriela Mateo Valentina Robert Susan
Michael Linda William Karen David Nancy Richard Betty Thomas Sandra Charles Ashley Daniel Kimberly Matthew Donna Anthony Carol
Kevin Michelle Brian Amanda Edward Melissa Ronald Deborah Tim Stephanie Jason Rebecca Jeff Sharon Ryan Cynthia Jacob Kathleen
Gary Amy Eric Angela Jonathan Shirley Stephen Brenda Larry Emily Justin Pamela Scott Nicole Brandon Samantha""".split()

LAST = """Ben-Ali Trabelsi Bouazizi Gharbi Jebali Mansouri Hamdi Chaabane Ayari Mejri Saidi Khelifi Dridi Zouari Haddad Khoury
Nasser Farouk Mahfouz Saleh Rahman Aziz Qasim Hariri Younes Benali Cherif Amrani Idrissi Alaoui Bennani Tazi Berrada Smith
Jones Taylor Brown Wilson Evans Walker Wright Robinson Thompson White Hughes Edwards Green Hall Wood Harris Lewis Martin
Jackson Clarke Turner Hill Cooper Ward Morris Moore Clark Lee King Baker Harrison Morgan Allen Scott Ellis Bennett Cole Dupont
Durand Moreau Laurent Lefebvre Girard Roux Fournier Mercier Blanc Guerin Faure Rousseau Garnier Chevalier Lambert Fontaine
Rossi Russo Ferrari Esposito Bianchi Romano Ricci Marino Greco Costa Garcia Lopez Martinez Sanchez Perez Gomez Ruiz Diaz Torres
Navarro Muller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Keller Vogel Hansen Johansen Olsen Larsen
Berg Lund Nilsson Lindberg Novak Kowalski Nowak Wisniewski Horvat Petrov Ivanov Sokolov Tanaka Suzuki Yamamoto Watanabe Sato
Nakamura Wang Li Zhang Liu Chen Patel Sharma Singh Gupta Kumar Reddy Iyer Mensah Okafor Adeyemi Diallo Traore Keita Ndiaye
Mbeki Dlamini Silva Santos Oliveira Pereira Almeida Carvalho Rocha Vargas Castillo Mendoza Flores Ortega O'Brien O'Connor
MacDonald Campbell Murray Fraser Reid Van-Dijk De-Vries Jansen Bakker Visser Peeters Maes""".split()

FIRST_AR = """أحمد محمد يوسف ليلى كريم سلمى عمر نادية حسن فاطمة طارق رانيا سامي هدى بلال سونيا مهدي إيناس وليد ياسمين خالد مريم
نبيل داليا عادل ريم فوزي هالة أنيس ألفة سليم آمنة معز أسماء حاتم وفاء رضا لطيفة زياد غادة عماد سميرة لطفي أمل علي زينب إبراهيم
خديجة عبدالله نور سعيد منى جمال سعاد ماجد هند فهد دانة راشد شيخة""".split()

LAST_AR = """بنعلي الطرابلسي البوعزيزي الغربي الجبالي المنصوري الحمدي الشعباني العياري الماجري السعيدي الخليفي الدريدي الزواري
حداد الخوري ناصر فاروق محفوظ صالح رحمن عزيز قاسم الحريري يونس الشريف العمراني الإدريسي العلوي بناني التازي برادة القحطاني الشمري
العتيبي الهاشمي المهيري الكعبي""".split()

CITY = """Tunis Sfax Sousse Bizerte Gabes Kairouan Djerba Cairo Alexandria Rabat Casablanca Fes Marrakech Tangier Algiers Oran
Tripoli Beirut Amman Damascus Baghdad Riyadh Jeddah Dubai Doha Kuwait Muscat Manama London Manchester Leeds Bristol Glasgow
Edinburgh Cardiff Dublin Paris Lyon Marseille Nice Toulouse Bordeaux Nantes Lille Strasbourg Geneva Zurich Basel Berlin Hamburg
Munich Cologne Frankfurt Vienna Graz Prague Brno Warsaw Krakow Budapest Bucharest Sofia Athens Rome Milan Naples Turin Florence
Venice Madrid Barcelona Valencia Seville Lisbon Porto Amsterdam Rotterdam Utrecht Brussels Antwerp Ghent Copenhagen Aarhus
Stockholm Gothenburg Oslo Bergen Helsinki Tampere Tallinn Riga Vilnius Istanbul Ankara Izmir Moscow Tokyo Osaka Kyoto Seoul Busan
Beijing Shanghai Taipei Singapore Bangkok Hanoi Jakarta Manila Delhi Mumbai Chennai Kolkata Karachi Lahore Dhaka Colombo Nairobi
Lagos Accra Dakar Abuja Kampala Kigali Johannesburg Durban Boston Chicago Denver Seattle Portland Austin Houston Dallas Atlanta
Miami Toronto Montreal Vancouver Ottawa Mexico-City Bogota Lima Quito Santiago Sydney Melbourne Perth Brisbane Auckland
Wellington""".replace("-", "_").split()
CITY = [c.replace("_", " ") for c in CITY]
CITY_AR = "تونس صفاقس سوسة بنزرت قابس القيروان القاهرة الإسكندرية الرباط الدار_البيضاء مراكش الجزائر وهران طرابلس بيروت عمان دمشق بغداد الرياض جدة دبي الدوحة الكويت مسقط باريس لندن روما مدريد برلين".split()
CITY_AR = [c.replace("_", " ") for c in CITY_AR]

NOUN = """apple anchor arrow bag ball basket beach bell bicycle bird blanket boat book bottle box branch bread bridge brush bucket
button cable cake camera candle car carpet castle chair cheese clock cloud coat coin compass cup curtain desk dictionary door
dress drum egg engine envelope farm feather fence field fire fish flag flower forest fork fountain frame fruit garden gate gift
glass glove gold grass guitar hammer harbour hat hill horse house island jacket jar jewel key kitchen kite knife ladder lake lamp
leaf lemon letter library lighthouse lion lock machine map market mirror moon mountain mouse museum needle nest newspaper notebook
ocean onion orange oven paint paper path pear pen pencil piano picture pillow plane plant plate pocket pond pot printer puzzle
rabbit radio rain ribbon ring river road rock roof room rope rose sail salt sand scarf school scissors sea seed shelf shell ship
shirt shoe shop silver sink sky snow soap sock soup spoon spring square stair star station stone storm street sugar suitcase sun
sword table tail tea telescope tent ticket tiger toast tower toy train tray tree truck tunnel turtle umbrella valley vase village
violin wall wallet watch water wave wheel whistle wind window winter wire wolf wood wool yard""".split()

PRODUCT = """laptop keyboard monitor headset webcam router printer scanner tablet charger phone speaker microphone projector desk
chair lamp backpack notebook bottle kettle toaster blender heater fan vacuum drill hammer ladder toolbox tent jacket helmet bicycle
scooter treadmill guitar piano camera tripod lens drone watch bracelet perfume candle carpet curtain pillow mattress sofa bookshelf
wardrobe mirror clock frame vase teapot mug plate knife pan grill freezer oven dishwasher""".split()

ADJ = """amber ancient blue bold brave bright broken busy calm careful cheap clean clever cold cosy curious dark deep distant dry
early eager elegant empty fair famous fast fine fresh friendly full funny gentle golden good grand green happy heavy hidden honest
huge humble hungry kind large late lazy light little local lonely long loud lucky mild modern narrow new nice noisy old open patient
plain polite proud purple quick quiet rare red rich round rusty safe sharp shiny short shy silent silver simple slow small smooth
soft solid strange strong sunny sweet tall tiny tired vivid warm wide wild wise wooden yellow young""".split()

VERB = """add answer ask bake borrow break bring build buy call carry catch change check choose clean climb close collect cook count
cross cut dance deliver draw drink drive drop eat enter explain fill find finish fix fly follow forget give grow guess help hide hold
hope invite join jump keep knock know laugh learn leave lend lift listen look lose make meet mend move need open order pack paint pay
pick plan plant play print promise pull push put reach read remember repair reply return ride ring run save search see sell send share
show sing sit sleep smile speak start stay stop study swim take talk teach tell thank throw touch travel try turn use visit wait walk
want wash watch wear win work write""".split()

ADVERB = """slowly quickly quietly loudly carefully happily sadly gently finally suddenly early late together alone often never always
today tomorrow yesterday again soon outside inside nearby""".split()

COMPANY_A = """Blue North Bright Silver Green Atlas Delta Nova Orion Cedar Harbor Summit Pioneer Golden Crystal Falcon Lotus Vertex
Meridian Aurora Cobalt Ember Granite Horizon Ivory Jasmin Kestrel Lumen Maple Nimbus Onyx Pearl Quartz Raven Sierra Topaz Umbra Vega
Willow Zenith Carthage Medina Sahara Oasis""".split()
COMPANY_B = """Logistics Systems Foods Textiles Energy Media Consulting Pharma Motors Airlines Bank Insurance Labs Robotics Press
Travel Design Software Networks Trading Steel Optics Marine Partners Studios Dynamics Health Solar Printing Electronics""".split()

JOB = """teacher nurse engineer baker doctor pilot farmer painter lawyer driver chef plumber librarian carpenter accountant journalist
architect dentist gardener translator musician electrician photographer tailor mechanic scientist sailor waiter cashier firefighter
designer analyst""".split()

DEPARTMENT = """sales support finance marketing engineering logistics legal design research purchasing operations security
accounting training maintenance""".split()

TOPIC = """the budget review;the quarterly report;the office move;the new contract;the delivery delay;the website update;the
training day;the staff survey;the project kickoff;the holiday schedule;the security audit;the product launch;the invoice;the missing
parcel;the job interview;the rental agreement;the medical appointment;the conference;the server outage;the annual meeting;the price
list;the customer complaint;the insurance claim;the bank transfer;the garden party;the school trip;the library card;the hotel
booking;the flight change;the water bill;the tax form;the subscription;the refund;the warranty;the design mockups;the test results;the
supplier visit;the power cut;the team lunch;the recruitment plan""".replace("\n", " ").split(";")

ANIMAL = """cat dog fox owl rabbit bear mouse crow hedgehog otter squirrel turtle heron deer badger frog sparrow goat donkey camel
gazelle dolphin seal crab gull whale octopus pelican lizard beetle""".split()

COLOUR = "red blue green yellow orange purple pink brown black white grey turquoise gold silver violet".split()
FRUIT = "apple banana orange pear grape lemon mango peach cherry plum fig date kiwi melon strawberry apricot pomegranate pineapple".split()
VEGETABLE = "carrot potato tomato onion cucumber pepper spinach lettuce pumpkin aubergine cabbage garlic leek pea bean".split()
DAY = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTH = "January February March April May June July August September October November December".split()
WEATHER = "sunny cloudy rainy windy snowy foggy stormy clear humid".split()
TLD = "com org net io fr tn de eu co.uk ma ae dev".split()
DOMAIN = """example mailbox northwind acme contoso fabrikam lumen bluebay quickpost medina-mail oasis cedarworks harborline
atelier stellar kestrel orchid riverstone maplegrove""".split()
CURRENCY = "EUR USD GBP TND MAD AED SAR CHF JPY".split()
UNIT = "kg g km m cm l ml".split()
ENTITY = """EMAIL PERSON PHONE IBAN CARD ADDRESS CIN SSN URL IP DATE PASSPORT ACCOUNT NAME LOCATION ORG KEY SECRET TOKEN PLATE TAX
EMAIL_ADDRESS PHONE_NUMBER IBAN_CODE CREDIT_CARD US_SSN TN_CIN FR_NIR IP_ADDRESS DATE_OF_BIRTH UK_NHS API_KEY NIF MEDICAL BANK USER
CUSTOMER MAC_ADDRESS UUID VIN CRYPTO""".split()

CAPITAL = dict(
    x.split(":")
    for x in """France:Paris;Germany:Berlin;Italy:Rome;Spain:Madrid;Portugal:Lisbon;Tunisia:Tunis;Morocco:Rabat;Algeria:Algiers;
Egypt:Cairo;Libya:Tripoli;Lebanon:Beirut;Jordan:Amman;Syria:Damascus;Iraq:Baghdad;Saudi Arabia:Riyadh;Qatar:Doha;Oman:Muscat;
Bahrain:Manama;Kuwait:Kuwait City;the United Arab Emirates:Abu Dhabi;Turkey:Ankara;Iran:Tehran;India:New Delhi;China:Beijing;
Japan:Tokyo;South Korea:Seoul;Thailand:Bangkok;Vietnam:Hanoi;Indonesia:Jakarta;the Philippines:Manila;Australia:Canberra;
New Zealand:Wellington;Canada:Ottawa;the United States:Washington, D.C.;Mexico:Mexico City;Brazil:Brasília;Argentina:Buenos Aires;
Chile:Santiago;Peru:Lima;Colombia:Bogotá;Ecuador:Quito;Cuba:Havana;the United Kingdom:London;Ireland:Dublin;Belgium:Brussels;
the Netherlands:Amsterdam;Luxembourg:Luxembourg;Switzerland:Bern;Austria:Vienna;Poland:Warsaw;the Czech Republic:Prague;
Hungary:Budapest;Romania:Bucharest;Bulgaria:Sofia;Greece:Athens;Serbia:Belgrade;Croatia:Zagreb;Slovenia:Ljubljana;Norway:Oslo;
Sweden:Stockholm;Denmark:Copenhagen;Finland:Helsinki;Iceland:Reykjavik;Estonia:Tallinn;Latvia:Riga;Lithuania:Vilnius;Russia:Moscow;
Ukraine:Kyiv;Kenya:Nairobi;Nigeria:Abuja;Ghana:Accra;Senegal:Dakar;Ethiopia:Addis Ababa;Rwanda:Kigali;Uganda:Kampala;
Mali:Bamako;Pakistan:Islamabad;Bangladesh:Dhaka;Malta:Valletta;Cyprus:Nicosia""".replace("\n", "").split(";")
)

OPPOSITE = dict(
    x.split(":")
    for x in """hot:cold;big:small;fast:slow;up:down;left:right;day:night;open:closed;full:empty;early:late;happy:sad;light:dark;
long:short;old:new;rich:poor;strong:weak;true:false;wet:dry;high:low;hard:soft;loud:quiet;near:far;clean:dirty;thick:thin;
young:old;win:lose;buy:sell;push:pull;start:finish;inside:outside;above:below;always:never;love:hate;first:last;black:white;
cheap:expensive;easy:difficult;safe:dangerous;brave:afraid;deep:shallow;sweet:bitter;wide:narrow;heavy:light""".replace("\n", "").split(";")
)
PLURAL = dict(
    x.split(":")
    for x in """child:children;mouse:mice;foot:feet;tooth:teeth;man:men;woman:women;person:people;goose:geese;leaf:leaves;
knife:knives;wolf:wolves;city:cities;baby:babies;box:boxes;bus:buses;fish:fish;sheep:sheep;cat:cats;dog:dogs;book:books;
dish:dishes;story:stories;key:keys;life:lives;half:halves;hero:heroes;potato:potatoes;tomato:tomatoes;country:countries;
watch:watches;car:cars;tree:trees;house:houses;wife:wives;shelf:shelves;ox:oxen""".replace("\n", "").split(";")
)
#: English : French : Arabic
TRANSLATION = [
    tuple(x.split(":"))
    for x in """hello:bonjour:مرحبا;goodbye:au revoir:مع السلامة;thank you:merci:شكرا;please:s'il vous plaît:من فضلك;yes:oui:نعم;no:non:لا;
water:eau:ماء;bread:pain:خبز;house:maison:بيت;book:livre:كتاب;cat:chat:قطة;dog:chien:كلب;sun:soleil:شمس;moon:lune:قمر;sea:mer:بحر;
school:école:مدرسة;teacher:professeur:معلم;friend:ami:صديق;family:famille:عائلة;mother:mère:أم;father:père:أب;brother:frère:أخ;
sister:sœur:أخت;day:jour:يوم;night:nuit:ليل;morning:matin:صباح;evening:soir:مساء;week:semaine:أسبوع;month:mois:شهر;year:année:سنة;
red:rouge:أحمر;blue:bleu:أزرق;green:vert:أخضر;white:blanc:أبيض;black:noir:أسود;yellow:jaune:أصفر;one:un:واحد;two:deux:اثنان;
three:trois:ثلاثة;four:quatre:أربعة;five:cinq:خمسة;six:six:ستة;seven:sept:سبعة;eight:huit:ثمانية;nine:neuf:تسعة;ten:dix:عشرة;
coffee:café:قهوة;tea:thé:شاي;milk:lait:حليب;apple:pomme:تفاحة;orange:orange:برتقال;door:porte:باب;window:fenêtre:نافذة;
car:voiture:سيارة;train:train:قطار;street:rue:شارع;city:ville:مدينة;country:pays:بلد;name:nom:اسم;phone:téléphone:هاتف;
letter:lettre:رسالة;address:adresse:عنوان;invoice:facture:فاتورة;order:commande:طلب;price:prix:سعر;customer:client:عميل;
date:date:تاريخ;time:heure:وقت;money:argent:مال;work:travail:عمل;office:bureau:مكتب;computer:ordinateur:حاسوب;question:question:سؤال;
answer:réponse:جواب;love:amour:حب;peace:paix:سلام;bird:oiseau:طائر;fish:poisson:سمكة;tree:arbre:شجرة;flower:fleur:زهرة;
garden:jardin:حديقة;hand:main:يد;eye:œil:عين;heart:cœur:قلب;good:bon:جيد;big:grand:كبير;small:petit:صغير;new:nouveau:جديد;
beautiful:beau:جميل;happy:heureux:سعيد;today:aujourd'hui:اليوم;tomorrow:demain:غدا;good morning:bonjour:صباح الخير;
good evening:bonsoir:مساء الخير;good night:bonne nuit:تصبح على خير;welcome:bienvenue:أهلا وسهلا;sorry:désolé:آسف;
delivery:livraison:توصيل;payment:paiement:دفع;contract:contrat:عقد;meeting:réunion:اجتماع;report:rapport:تقرير;
email:courriel:بريد إلكتروني;account:compte:حساب;password:mot de passe:كلمة المرور;help:aide:مساعدة;language:langue:لغة""".replace("\n", "").split(";")
]
DAY_FR = "lundi mardi mercredi jeudi vendredi samedi dimanche".split()
MONTH_FR = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()
DAY_AR = "الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد".split()
TOPIC_FR = """le budget;le rapport trimestriel;le nouveau contrat;le retard de livraison;la facture;le colis perdu;l'entretien;
la réunion annuelle;le remboursement;la réservation;le rendez-vous;la formation;la visite du fournisseur;la coupure de courant;
le projet;l'abonnement;la commande;le virement;le planning des congés;les résultats""".replace("\n", "").split(";")
TOPIC_AR = """الميزانية;التقرير الفصلي;العقد الجديد;تأخر التسليم;الفاتورة;الطرد المفقود;المقابلة;الاجتماع السنوي;استرداد المبلغ;الحجز;
الموعد;التدريب;زيارة المورد;انقطاع الكهرباء;المشروع;الاشتراك;الطلب;التحويل البنكي;جدول العطل;النتائج""".replace("\n", "").split(";")
NUMBER_WORD = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()
